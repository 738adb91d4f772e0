//! Pages: where each of 4,096 consecutive chunks lives.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FormatError;
use super::bytes::{HASH_BYTES, Reader, sealed, unsealed};
use crate::encryption::Encryption;
use crate::identity::{BranchName, Lineage, ObjectId};

/// Chunks that one page addresses.
pub const CHUNKS_PER_PAGE: u64 = 4_096;
/// Largest page object.
pub const MAX_PAGE_BYTES: u64 = 1024 * 1024;
/// Newest version of pages that this release reads, and the one it writes.
pub const PAGE_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"RSTPAGE\n";

/// The name of a pack or page: which branch, history, epoch and manifest made it, and 128 random bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName {
    /// Branch that made it.
    pub branch: BranchName,
    /// History that made it.
    pub lineage: Lineage,
    /// Epoch that made it.
    pub epoch: u64,
    /// Number of the manifest that it was made for.
    pub manifest: u64,
    /// Random part.
    pub id: ObjectId,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { branch, lineage, epoch, manifest, id } = self;
        write!(f, "{branch}.{lineage}.{epoch}.{manifest}.{id}")
    }
}

impl FromStr for ObjectName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{:?} is not an object name", text.chars().take(200).collect::<String>());
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or_else(wrong);
        let name = Self {
            branch: BranchName::new(next()?).map_err(|_| wrong())?,
            lineage: next()?.parse().map_err(|_| wrong())?,
            epoch: next()?.parse().map_err(|_| wrong())?,
            manifest: next()?.parse().map_err(|_| wrong())?,
            id: next()?.parse().map_err(|_| wrong())?,
        };
        if parts.next().is_some() || name.to_string() != text { Err(wrong()) } else { Ok(name) }
    }
}
impl From<ObjectName> for String {
    fn from(name: ObjectName) -> Self {
        name.to_string()
    }
}
impl TryFrom<String> for ObjectName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

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

/// One page.
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
        if usize::from(entry.pack) >= packs.len() || end > super::pack::MAX_PACK_BYTES {
            return Err(damaged("an entry points outside its packs"));
        }
        entries.push(entry);
    }
    if !input.0.is_empty() {
        return Err(damaged("bytes follow the last entry"));
    }
    Ok(Page { name, index, packs, chunks: entries })
}

pub(super) fn put_start(out: &mut Vec<u8>, magic: [u8; 8], version: u16, encryption: Encryption) {
    out.extend_from_slice(&magic);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&[encryption.code(), 0]);
}

/// How what follows is encrypted.
pub(super) fn check_start(
    input: &mut Reader<'_>,
    magic: [u8; 8],
    supported: u16,
) -> Result<Encryption, FormatError> {
    if input.array::<8>()? != magic {
        return Err(FormatError::Damaged("it does not begin with its kind's magic".into()));
    }
    let version = input.u16()?;
    if version == 0 || version > supported {
        return Err(FormatError::Version { found: version.into(), supported: supported.into() });
    }
    let encryption = Encryption::from_code(input.u8()?)?;
    if input.u8()? != 0 {
        return Err(FormatError::Damaged("a reserved byte is set".into()));
    }
    Ok(encryption)
}

pub(super) fn put_name(out: &mut Vec<u8>, name: &ObjectName) {
    put_branch(out, &name.branch);
    out.extend_from_slice(name.lineage.as_bytes());
    out.extend_from_slice(&name.epoch.to_le_bytes());
    out.extend_from_slice(&name.manifest.to_le_bytes());
    out.extend_from_slice(name.id.as_bytes());
}

pub(super) fn put_branch(out: &mut Vec<u8>, branch: &BranchName) {
    let branch = branch.as_str().as_bytes();
    out.push(u8::try_from(branch.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(branch);
}

pub(super) fn take_branch(input: &mut Reader<'_>) -> Result<BranchName, FormatError> {
    let length = input.u8()?;
    String::from_utf8(input.take(length.into())?.to_vec())
        .ok()
        .and_then(|name| BranchName::new(name).ok())
        .ok_or_else(|| FormatError::Damaged("a branch name is not valid".into()))
}

pub(super) fn take_name(input: &mut Reader<'_>) -> Result<ObjectName, FormatError> {
    Ok(ObjectName {
        branch: take_branch(input)?,
        lineage: Lineage::from_bytes(input.array()?),
        epoch: input.u64()?,
        manifest: input.u64()?,
        id: ObjectId::from_bytes(input.array()?),
    })
}
