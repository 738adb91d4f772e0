//! Slots of a WAL stream: a segment of its WAL with what that refers to, or the seal that ended it.

use bytes::Bytes;
use jiff::Timestamp;

use super::FormatError;
use super::bytes::{HASH_BYTES, Reader, sealed, unsealed};
use super::name::{ObjectName, put_branch, put_name, take_branch, take_name};
use super::pack::PackedChunk;
use super::start::{check_start, put_start};
use crate::chunk::{MAX_CHUNK_BYTES, MAX_FILE_BYTES};
use crate::encryption::{Codec, Encryption};
use crate::identity::{BranchName, Lineage, PutId};
use crate::position::StreamId;

/// Newest version of slots that this release reads, and the one it writes.
pub const SEGMENT_VERSION: u16 = 1;
/// Largest slot object.
pub const MAX_SEGMENT_BYTES: u64 = 72 * 1024 * 1024;
/// Most bytes of WAL in one segment, before compression. One transaction is never cut, so this also bounds it.
pub const MAX_SEGMENT_WAL: usize = 64 * 1024 * 1024;
/// Most commits that end in one segment.
pub const MAX_SEGMENT_COMMITS: usize = 65_536;
/// Most chunks stored inside a segment; more go into packs of their own.
pub const MAX_INLINE_CHUNKS: usize = 4;
/// Most chunks that one segment carries: 16 GiB of them.
pub const MAX_CARRIED_CHUNKS: usize = 65_536;
/// No seal is larger: fixed members, and a branch's name.
pub const MAX_SEAL_BYTES: u64 = 512;
const MAGIC: [u8; 8] = *b"RSTSEGM\n";
const KIND_SEGMENT: u8 = 1;
const KIND_SEAL: u8 = 2;
const INLINE: u16 = u16::MAX;

/// One commit: where its WAL ends, and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Offset in the stream right after its last byte of WAL.
    pub end: u64,
    /// Its time; strictly increasing within a lineage.
    pub time: Timestamp,
}

/// A chunk of the main file that the WAL of its segment, or of a later one, refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedChunk {
    /// Number of the chunk in the file.
    pub index: u64,
    /// [`Codec::chunk_hash`] of it.
    pub hash: [u8; HASH_BYTES],
    /// Where it is.
    pub place: ChunkPlace,
}

impl CarriedChunk {
    /// The pack it is in, and where; none if it is in `segment`, its own, itself.
    pub fn packed<'a>(&self, segment: &'a Segment) -> Option<(&'a ObjectName, PackedChunk)> {
        match self.place {
            ChunkPlace::Inline(_) => None,
            ChunkPlace::Packed { pack, offset, length } => {
                let (index, hash) = (self.index, self.hash);
                Some((segment.packs.get(usize::from(pack))?, PackedChunk { index, offset, length, hash }))
            }
        }
    }
}

/// Where a carried chunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkPlace {
    /// In the segment itself, as [`Codec::store_chunk`] stores it.
    Inline(Bytes),
    /// In one of the segment's packs.
    Packed {
        /// Index into [`Segment::packs`].
        pack: u16,
        /// Offset of the stored bytes in the pack.
        offset: u32,
        /// Their number.
        length: u32,
    },
}

/// WAL as [`Codec`] stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWal {
    /// Bytes of WAL.
    pub length: usize,
    /// The stored form of these bytes.
    pub stored: Bytes,
}

/// Contiguous WAL of a stream up to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Identity of the write; every retry repeats it.
    pub put_id: PutId,
    /// The branch that writes the stream.
    pub branch: BranchName,
    /// The stream.
    pub stream: StreamId,
    /// Its number in the stream; the first is 1.
    pub sequence: u64,
    /// Offset of its first byte of WAL in the stream.
    pub base: u64,
    /// Encryption of the WAL and the chunks.
    pub encryption: Encryption,
    /// The WAL.
    pub wal: StoredWal,
    /// blake3 of the stream's WAL, as it is stored, from its beginning to the end of this segment.
    pub wal_hash: [u8; HASH_BYTES],
    /// The commits that end in it, in order; the last one ends where the WAL does.
    pub commits: Vec<Commit>,
    /// Size in bytes of the main file at the last of them.
    pub file_size: u64,
    /// The packs that its chunks are in.
    pub packs: Vec<ObjectName>,
    /// The chunks that it carries, in ascending order.
    pub chunks: Vec<CarriedChunk>,
}

impl Segment {
    /// Offset in the stream right after its last byte of WAL.
    pub fn end(&self) -> u64 {
        self.base + self.wal.length as u64
    }

    /// Its WAL up to this offset in the stream, restored. Long: for a computing thread.
    pub(crate) fn wal(&self, codec: &Codec, until: u64) -> Result<Vec<u8>, FormatError> {
        codec.check(self.encryption)?;
        let mut wal = codec.restore_wal(&self.stream, self.sequence, &self.wal.stored, self.wal.length)?;
        wal.truncate(usize::try_from(until.saturating_sub(self.base)).unwrap_or(usize::MAX));
        Ok(wal)
    }
}

/// The end of a stream, put at its next number by an owner of a higher epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Identity of the write.
    pub put_id: PutId,
    /// The branch.
    pub branch: BranchName,
    /// The stream that it ends.
    pub stream: StreamId,
    /// Its number in the stream.
    pub sequence: u64,
    /// Epoch of the owner that put it.
    pub epoch: u64,
    /// Time of the last commit that this owner knew of.
    pub last_commit: Option<Timestamp>,
}

/// The object at one number of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// WAL.
    Segment(Segment),
    /// The end.
    Seal(Seal),
}

impl Slot {
    /// Identity of the write.
    pub fn put_id(&self) -> PutId {
        match self {
            Self::Segment(segment) => segment.put_id,
            Self::Seal(seal) => seal.put_id,
        }
    }

    /// Stream and number that it says it is for.
    pub fn place(&self) -> (&BranchName, StreamId, u64) {
        match self {
            Self::Segment(segment) => (&segment.branch, segment.stream, segment.sequence),
            Self::Seal(seal) => (&seal.branch, seal.stream, seal.sequence),
        }
    }
}

/// Writes a slot.
pub fn encode(slot: &Slot) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::with_capacity(512);
    let encryption = match slot {
        Slot::Segment(segment) => segment.encryption,
        Slot::Seal(_) => Encryption::None,
    };
    put_start(&mut out, MAGIC, SEGMENT_VERSION, encryption);
    out.push(match slot {
        Slot::Segment(_) => KIND_SEGMENT,
        Slot::Seal(_) => KIND_SEAL,
    });
    out.extend_from_slice(slot.put_id().as_bytes());
    let (branch, stream, sequence) = slot.place();
    put_stream(&mut out, branch, stream);
    out.extend_from_slice(&sequence.to_le_bytes());
    match slot {
        Slot::Segment(segment) => put_segment(&mut out, segment)?,
        Slot::Seal(seal) => {
            out.extend_from_slice(&seal.epoch.to_le_bytes());
            // No commit has the smallest time.
            let time = seal.last_commit.map_or(i64::MIN, Timestamp::as_microsecond);
            out.extend_from_slice(&time.to_le_bytes());
        }
    }
    Ok(sealed(out))
}

/// Reads a slot; every altered byte is detected.
pub fn decode(bytes: &[u8]) -> Result<Slot, FormatError> {
    if bytes.len() as u64 > MAX_SEGMENT_BYTES {
        return Err(damaged("it is larger than a segment may be"));
    }
    let mut input = Reader(unsealed(bytes)?);
    let encryption = check_start(&mut input, MAGIC, SEGMENT_VERSION)?;
    let kind = input.u8()?;
    let put_id = PutId::from_bytes(input.array()?);
    let (branch, stream) = take_stream(&mut input)?;
    let sequence = input.u64()?;
    let slot = match kind {
        KIND_SEGMENT => {
            let segment = take_segment(&mut input, encryption, put_id, branch, stream, sequence)?;
            Slot::Segment(segment)
        }
        KIND_SEAL => {
            let epoch = input.u64()?;
            let last_commit = match input.i64()? {
                i64::MIN => None,
                time => Some(timestamp(time)?),
            };
            Slot::Seal(Seal { put_id, branch, stream, sequence, epoch, last_commit })
        }
        _ => return Err(damaged("its kind is not known")),
    };
    if input.0.is_empty() { Ok(slot) } else { Err(damaged("bytes follow its end")) }
}

fn put_segment(out: &mut Vec<u8>, segment: &Segment) -> Result<(), FormatError> {
    check(segment)?;
    out.extend_from_slice(&segment.base.to_le_bytes());
    out.extend_from_slice(&segment.file_size.to_le_bytes());
    out.extend_from_slice(&segment.wal_hash);
    // `check` bounds all four.
    put_count(out, segment.commits.len());
    put_count(out, segment.packs.len());
    put_count(out, segment.chunks.len());
    put_count(out, segment.wal.length);
    put_count(out, segment.wal.stored.len());
    for commit in &segment.commits {
        out.extend_from_slice(&commit.end.to_le_bytes());
        out.extend_from_slice(&commit.time.as_microsecond().to_le_bytes());
    }
    for pack in &segment.packs {
        put_name(out, pack);
    }
    let mut inline: Vec<&Bytes> = Vec::new();
    for chunk in &segment.chunks {
        out.extend_from_slice(&chunk.index.to_le_bytes());
        out.extend_from_slice(&chunk.hash);
        let (pack, offset, length) = match &chunk.place {
            ChunkPlace::Inline(stored) => {
                inline.push(stored);
                (INLINE, 0, u32::try_from(stored.len()).unwrap_or(u32::MAX))
            }
            ChunkPlace::Packed { pack, offset, length } => (*pack, *offset, *length),
        };
        out.extend_from_slice(&pack.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(&segment.wal.stored);
    for stored in inline {
        out.extend_from_slice(stored);
    }
    Ok(())
}

fn take_segment(
    input: &mut Reader<'_>,
    encryption: Encryption,
    put_id: PutId,
    branch: BranchName,
    stream: StreamId,
    sequence: u64,
) -> Result<Segment, FormatError> {
    let (base, file_size, wal_hash) = (input.u64()?, input.u64()?, input.array()?);
    let (commits, packs, chunks) = (input.count()?, input.count()?, input.count()?);
    let (wal_length, wal_stored) = (input.count()?, input.count()?);
    if wal_length > MAX_SEGMENT_WAL || commits > MAX_SEGMENT_COMMITS || chunks > MAX_CARRIED_CHUNKS {
        return Err(damaged("a count is out of range"));
    }
    let commits = (0..commits)
        .map(|_| Ok(Commit { end: input.u64()?, time: timestamp(input.i64()?)? }))
        .collect::<Result<Vec<_>, FormatError>>()?;
    let packs = (0..packs).map(|_| take_name(input)).collect::<Result<Vec<_>, _>>()?;
    let mut places = Vec::with_capacity(chunks);
    for _ in 0..chunks {
        places.push((input.u64()?, input.array()?, input.u16()?, input.u32()?, input.u32()?));
    }
    let wal = StoredWal { length: wal_length, stored: Bytes::copy_from_slice(input.take(wal_stored)?) };
    let mut carried = Vec::with_capacity(chunks);
    for (index, hash, pack, offset, length) in places {
        let place = if pack == INLINE {
            ChunkPlace::Inline(Bytes::copy_from_slice(input.take(length as usize)?))
        } else {
            ChunkPlace::Packed { pack, offset, length }
        };
        carried.push(CarriedChunk { index, hash, place });
    }
    let segment = Segment {
        put_id,
        branch,
        stream,
        sequence,
        base,
        encryption,
        wal,
        wal_hash,
        commits,
        file_size,
        packs,
        chunks: carried,
    };
    check(&segment)?;
    Ok(segment)
}

/// Checks that the members agree with each other, which the checksum cannot tell.
fn check(segment: &Segment) -> Result<(), FormatError> {
    let Segment { commits, chunks, packs, wal, .. } = segment;
    if wal.length > MAX_SEGMENT_WAL
        || commits.len() > MAX_SEGMENT_COMMITS
        || chunks.len() > MAX_CARRIED_CHUNKS
        || segment.file_size > MAX_FILE_BYTES
    {
        return Err(damaged("it holds more than a segment may"));
    }
    let ordered = commits.windows(2).all(|two| two[0].end < two[1].end && two[0].time < two[1].time);
    let first = commits.first().is_some_and(|commit| commit.end > segment.base);
    let last = commits.last().is_some_and(|commit| commit.end == segment.end());
    if !ordered || !first || !last || segment.sequence == 0 {
        return Err(damaged("its commits do not fit its WAL"));
    }
    let known = |chunk: &CarriedChunk| match &chunk.place {
        ChunkPlace::Inline(stored) => stored.len() <= 2 * MAX_CHUNK_BYTES,
        ChunkPlace::Packed { pack, offset, length } => {
            usize::from(*pack) < packs.len()
                && u64::from(*offset) + u64::from(*length) <= super::pack::MAX_PACK_BYTES
        }
    };
    let inline = chunks.iter().filter(|chunk| matches!(chunk.place, ChunkPlace::Inline(_))).count();
    let ascending = chunks.windows(2).all(|two| two[0].index < two[1].index);
    if !chunks.iter().all(known) || !ascending || inline > MAX_INLINE_CHUNKS || packs.len() > chunks.len() {
        return Err(damaged("its chunks are not where they could be"));
    }
    Ok(())
}

pub(super) fn put_stream(out: &mut Vec<u8>, branch: &BranchName, stream: StreamId) {
    put_branch(out, branch);
    out.extend_from_slice(stream.lineage.as_bytes());
    out.extend_from_slice(&stream.epoch.to_le_bytes());
    out.extend_from_slice(&stream.manifest.to_le_bytes());
}

pub(super) fn take_stream(input: &mut Reader<'_>) -> Result<(BranchName, StreamId), FormatError> {
    let branch = take_branch(input)?;
    let lineage = Lineage::from_bytes(input.array()?);
    Ok((branch, StreamId { lineage, epoch: input.u64()?, manifest: input.u64()? }))
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn timestamp(microseconds: i64) -> Result<Timestamp, FormatError> {
    Timestamp::from_microsecond(microseconds).map_err(|_| damaged("a time is out of range"))
}

fn damaged(what: &str) -> FormatError {
    FormatError::Damaged(what.into())
}
