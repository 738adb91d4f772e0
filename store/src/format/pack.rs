//! Packs: immutable objects of many stored chunks.
//!
//! Header, then the chunks one after another, then an index and a checksum. Readers fetch ranges and check
//! each chunk against its page entry; the index and checksum serve whole-pack checks and salvage.

use super::FormatError;
use super::bytes::{HASH_BYTES, Reader, sealed, unsealed};
use super::name::{ObjectName, put_name, take_name};
use super::start::{check_start, put_start};
use crate::chunk::MAX_CHUNK_BYTES;
use crate::encryption::{Codec, Encryption};

/// Bytes at which a pack is closed.
pub const TARGET_PACK_BYTES: usize = 32 * 1024 * 1024;
/// Largest pack object: the target, one more chunk, and the index.
pub const MAX_PACK_BYTES: u64 = 34 * 1024 * 1024;
/// Newest version of packs that this release reads, and the one it writes.
pub const PACK_VERSION: u16 = 1;
const MAGIC: [u8; 8] = *b"RSTPACK\n";
/// Most chunks of one pack: bounds the index (52 bytes each) also when every chunk compresses to nothing.
const MAX_PACK_CHUNKS: usize = 16_384;

/// Where a chunk is in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedChunk {
    /// Number of the chunk in the file.
    pub index: u64,
    /// Offset of its stored bytes in the pack.
    pub offset: u32,
    /// Their number.
    pub length: u32,
    /// [`Codec::chunk_hash`].
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
    /// Begins a pack of chunks that `codec` stores.
    pub fn new(name: ObjectName, codec: &Codec) -> Self {
        let mut bytes = Vec::new();
        put_start(&mut bytes, MAGIC, PACK_VERSION, codec.encryption());
        put_name(&mut bytes, &name);
        Self { name, bytes, index: Vec::new() }
    }

    /// Adds a stored chunk.
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

/// Checks a whole pack and returns its name, how its chunks are encrypted, and its index; every altered byte is detected.
pub fn decode(bytes: &[u8]) -> Result<(ObjectName, Encryption, Vec<PackedChunk>), FormatError> {
    let damaged = |what: &str| FormatError::Damaged(what.into());
    if bytes.len() as u64 > MAX_PACK_BYTES {
        return Err(damaged("it is larger than a pack may be"));
    }
    let body = unsealed(bytes)?;
    let Some(body_length) = body.len().checked_sub(8) else {
        return Err(damaged("it ends too early"));
    };
    let mut input = Reader(body);
    let encryption = check_start(&mut input, MAGIC, PACK_VERSION)?;
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
    Ok((name, encryption, index))
}
