//! A stream that is over, in one object: its segments as they were stored, in their order.

use super::FormatError;
use super::bytes::{Reader, sealed, unsealed};
use super::segment::{self, Segment, Slot, put_stream, take_stream};
use super::start::{check_start, put_start};
use crate::encryption::Encryption;
use crate::identity::BranchName;
use crate::position::StreamId;

/// Newest version that this release reads, and the one it writes.
pub const MERGED_VERSION: u16 = 1;
/// Largest one. A longer stream stays as it is: whoever reads or writes one holds it in memory.
pub const MAX_MERGED_BYTES: u64 = 32 * 1024 * 1024;
const MAGIC: [u8; 8] = *b"RSTMERG\n";

/// Writes the segments of a stream; none if they are more than one object may have.
pub fn encode(
    branch: &BranchName,
    stream: StreamId,
    segments: &[Segment],
) -> Result<Option<Vec<u8>>, FormatError> {
    let mut out = Vec::new();
    // Each segment says for itself how it is encrypted.
    put_start(&mut out, MAGIC, MERGED_VERSION, Encryption::None);
    put_stream(&mut out, branch, stream);
    put_length(&mut out, segments.len());
    for segment in segments {
        let slot = segment::encode(&Slot::Segment(segment.clone()))?;
        put_length(&mut out, slot.len());
        out.extend_from_slice(&slot);
        if out.len() as u64 > MAX_MERGED_BYTES - blake3::OUT_LEN as u64 {
            return Ok(None);
        }
    }
    Ok(Some(sealed(out)))
}

/// Reads the segments of a stream; every altered byte is detected.
pub fn decode(bytes: &[u8]) -> Result<(BranchName, StreamId, Vec<Segment>), FormatError> {
    if bytes.len() as u64 > MAX_MERGED_BYTES {
        return Err(FormatError::Damaged("it is larger than a merged stream may be".into()));
    }
    let mut input = Reader(unsealed(bytes)?);
    check_start(&mut input, MAGIC, MERGED_VERSION)?;
    let (branch, stream) = take_stream(&mut input)?;
    let count = input.count()?;
    let mut segments = Vec::new();
    for _ in 0..count {
        let length = input.count()?;
        match segment::decode(input.take(length)?)? {
            Slot::Segment(segment) => segments.push(segment),
            Slot::Seal(_) => return Err(FormatError::Damaged("a seal is among its segments".into())),
        }
    }
    if input.0.is_empty() {
        Ok((branch, stream, segments))
    } else {
        Err(FormatError::Damaged("bytes follow its end".into()))
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // Far below 4 GiB, by the bound on the whole.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}
