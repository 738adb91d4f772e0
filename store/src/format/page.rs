//! Pages: where each of 4,096 consecutive chunks lives.

use super::FormatError;
use super::bytes::{HASH_BYTES, Reader, sealed, unsealed};
use super::name::{ObjectName, put_name, take_name};
use super::pack::MAX_PACK_BYTES;
use super::start::{check_start, put_start};
use crate::encryption::Encryption;

/// Chunks that one page addresses.
pub const CHUNKS_PER_PAGE: u64 = 4_096;
/// Largest page object.
pub const MAX_PAGE_BYTES: u64 = 1024 * 1024;
/// Newest version of pages that this release reads, and the one it writes.
pub const PAGE_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"RSTPAGE\n";

/// Where one chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Index into [`Page::packs`].
    pub pack: u16,
    /// Offset of the stored bytes in the pack.
    pub offset: u32,
    /// Their number.
    pub length: u32,
    /// [`crate::encryption::Codec::chunk_hash`] of the chunk.
    pub hash: [u8; HASH_BYTES],
}

/// Places of consecutive chunks of a file, at most [`CHUNKS_PER_PAGE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its own name.
    pub name: ObjectName,
    /// Which page of the file it is.
    pub index: u64,
    /// The packs that its entries refer to.
    pub packs: Vec<ObjectName>,
    /// One entry per chunk, in order; fewer than 4,096 only in the last page.
    pub chunks: Vec<ChunkEntry>,
}

/// Writes a page.
pub fn encode(page: &Page) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + page.packs.len() * 128 + page.chunks.len() * 44);
    put_start(&mut out, MAGIC, PAGE_VERSION, Encryption::None);
    put_name(&mut out, &page.name);
    out.extend_from_slice(&page.index.to_le_bytes());
    // Both counts are at most 4,096: `PageBuilder` and `decode` bound them.
    out.extend_from_slice(&u16::try_from(page.packs.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(&u16::try_from(page.chunks.len()).unwrap_or(u16::MAX).to_le_bytes());
    for pack in &page.packs {
        put_name(&mut out, pack);
    }
    for chunk in &page.chunks {
        out.extend_from_slice(&chunk.pack.to_le_bytes());
        out.extend_from_slice(&chunk.offset.to_le_bytes());
        out.extend_from_slice(&chunk.length.to_le_bytes());
        out.extend_from_slice(&chunk.hash);
    }
    sealed(out)
}

/// Reads a page; every altered byte is detected.
pub fn decode(bytes: &[u8]) -> Result<Page, FormatError> {
    let damaged = |what: &str| FormatError::Damaged(what.into());
    let mut input = Reader(unsealed(bytes)?);
    // What says where things are is never encrypted.
    let encryption = check_start(&mut input, MAGIC, PAGE_VERSION)?;
    if encryption != Encryption::None {
        return Err(FormatError::Encrypted(encryption.code()));
    }
    let name = take_name(&mut input)?;
    let index = input.u64()?;
    let (packs, chunks) = (input.u16()?, input.u16()?);
    if u64::from(packs) > CHUNKS_PER_PAGE || u64::from(chunks) > CHUNKS_PER_PAGE || chunks == 0 {
        return Err(damaged("a count is out of range"));
    }
    let packs = (0..packs).map(|_| take_name(&mut input)).collect::<Result<Vec<_>, _>>()?;
    let mut entries = Vec::with_capacity(usize::from(chunks));
    for _ in 0..chunks {
        let entry = ChunkEntry {
            pack: input.u16()?,
            offset: input.u32()?,
            length: input.u32()?,
            hash: input.array()?,
        };
        let end = u64::from(entry.offset) + u64::from(entry.length);
        if usize::from(entry.pack) >= packs.len() || end > MAX_PACK_BYTES {
            return Err(damaged("an entry points outside its packs"));
        }
        entries.push(entry);
    }
    if !input.0.is_empty() {
        return Err(damaged("bytes follow the last entry"));
    }
    Ok(Page { name, index, packs, chunks: entries })
}
