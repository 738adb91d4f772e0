//! Packs: immutable objects of many compressed chunks.
//!
//! Header, then the chunks one after another, then an index and a checksum. Readers fetch ranges and check
//! each chunk against its page entry; the index and checksum serve whole-pack checks and salvage.

use std::io::Read as _;

use super::FormatError;
use super::bytes::{HASH_BYTES, Reader, sealed, unsealed};
use super::page::{ObjectName, check_start, put_name, take_name};
use crate::chunk::MAX_CHUNK_BYTES;
use crate::identity::Lineage;

/// Bytes at which a pack is closed.
pub const TARGET_PACK_BYTES: usize = 32 * 1024 * 1024;
/// Largest pack object: the target, one more chunk, and the index.
pub const MAX_PACK_BYTES: u64 = 34 * 1024 * 1024;
/// Newest version of packs that this release reads, and the one it writes.
pub const PACK_VERSION: u16 = 1;
/// zstd level of chunks.
const LEVEL: i32 = 1;
const MAGIC: [u8; 8] = *b"RSTPACK\n";
/// Most chunks of one pack: bounds the index (52 bytes each) also when every chunk compresses to nothing.
const MAX_PACK_CHUNKS: usize = 16_384;

/// Identity of a chunk's content: its lineage and number are part of it, so that no chunk can stand in for another.
pub fn chunk_hash(lineage: Lineage, index: u64, raw: &[u8]) -> [u8; HASH_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(lineage.as_bytes()).update(&index.to_le_bytes()).update(raw);
    *hasher.finalize().as_bytes()
}

/// Compresses one chunk as it is stored.
pub fn compress(raw: &[u8]) -> Result<Vec<u8>, FormatError> {
    zstd::bulk::compress(raw, LEVEL).map_err(|e| FormatError::Damaged(format!("compression failed: {e}")))
}

/// Restores one stored chunk, which must have exactly `length` bytes, and checks its hash.
pub fn restore(
    stored: &[u8],
    lineage: Lineage,
    index: u64,
    length: usize,
    hash: &[u8; HASH_BYTES],
) -> Result<Vec<u8>, FormatError> {
    let damaged = |why: String| FormatError::Damaged(format!("chunk {index}: {why}"));
    if length > MAX_CHUNK_BYTES {
        return Err(damaged(format!("{length} bytes are more than a chunk has")));
    }
    let mut raw = Vec::with_capacity(length);
    // One byte more than expected is enough to notice a longer chunk, without trusting the stored length.
    zstd::Decoder::with_buffer(stored)
        .and_then(|decoder| decoder.take(length as u64 + 1).read_to_end(&mut raw))
        .map_err(|e| damaged(e.to_string()))?;
    if raw.len() != length {
        return Err(damaged(format!("it has {} bytes, expected {length}", raw.len())));
    }
    if chunk_hash(lineage, index, &raw) != *hash {
        return Err(damaged("its hash does not match".into()));
    }
    Ok(raw)
}

/// Where a chunk is in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedChunk {
    /// Number of the chunk in the file.
    pub index: u64,
    /// Offset of its stored bytes in the pack.
    pub offset: u32,
    /// Their number.
    pub length: u32,
    /// [`chunk_hash`].
    pub hash: [u8; HASH_BYTES],
}

/// A pack being filled.
#[derive(Debug)]
pub struct PackBuilder {
    name: ObjectName,
    bytes: Vec<u8>,
    index: Vec<PackedChunk>,
}

impl PackBuilder {
    /// Begins a pack.
    pub fn new(name: ObjectName) -> Self {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&PACK_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        put_name(&mut bytes, &name);
        Self { name, bytes, index: Vec::new() }
    }

    /// Adds a stored (compressed) chunk.
    pub fn push(&mut self, index: u64, stored: &[u8], hash: [u8; HASH_BYTES]) {
        // A pack is closed long before 4 GiB, and a stored chunk is about a chunk's size at most.
        let offset = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let length = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        self.index.push(PackedChunk { index, offset, length, hash });
        self.bytes.extend_from_slice(stored);
    }

    /// Whether it should be closed before more is added.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= TARGET_PACK_BYTES - MAX_CHUNK_BYTES || self.index.len() >= MAX_PACK_CHUNKS
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Ends the pack: its name, object and index.
    pub fn finish(mut self) -> (ObjectName, Vec<u8>, Vec<PackedChunk>) {
        let index_at = self.bytes.len() as u64;
        for chunk in &self.index {
            self.bytes.extend_from_slice(&chunk.index.to_le_bytes());
            self.bytes.extend_from_slice(&chunk.offset.to_le_bytes());
            self.bytes.extend_from_slice(&chunk.length.to_le_bytes());
            self.bytes.extend_from_slice(&chunk.hash);
        }
        self.bytes.extend_from_slice(&index_at.to_le_bytes());
        (self.name, sealed(self.bytes), self.index)
    }
}

/// Checks a whole pack and returns its name and index; every altered byte is detected.
pub fn decode(bytes: &[u8]) -> Result<(ObjectName, Vec<PackedChunk>), FormatError> {
    let damaged = |what: &str| FormatError::Damaged(what.into());
    if bytes.len() as u64 > MAX_PACK_BYTES {
        return Err(damaged("it is larger than a pack may be"));
    }
    let body = unsealed(bytes)?;
    let Some(body_length) = body.len().checked_sub(8) else {
        return Err(damaged("it ends too early"));
    };
    let mut input = Reader(body);
    check_start(&mut input, MAGIC, PACK_VERSION)?;
    let name = take_name(&mut input)?;
    let index_at = Reader(&body[body_length..]).u64()?;
    let index_at = usize::try_from(index_at).ok().filter(|at| *at <= body_length);
    let mut input = Reader(&body[index_at.ok_or_else(|| damaged("the index lies outside"))?..body_length]);
    let mut index = Vec::new();
    while !input.0.is_empty() {
        index.push(PackedChunk {
            index: input.u64()?,
            offset: input.u32()?,
            length: input.u32()?,
            hash: input.array()?,
        });
    }
    Ok((name, index))
}
