//! Form in which the bytes of a database are stored: compressed, and encrypted if their tenant has a data key.

use std::fmt;
use std::io::Read as _;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::{DataKey, KeyError};
use crate::chunk::MAX_CHUNK_BYTES;
use crate::format_error::FormatError;
use crate::identity::Lineage;
use crate::position::StreamId;

/// zstd level of everything.
const LEVEL: i32 = 1;
/// Bytes of a chunk's hash.
const HASH_BYTES: usize = 32;

/// Encryption of the chunks and the WAL in an object, as its header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// In the clear.
    None,
    /// By the tenant's data key.
    Aes256Gcm,
}

impl Encryption {
    /// Reads a header's byte.
    pub(crate) fn from_code(code: u8) -> Result<Self, FormatError> {
        match code {
            0 => Ok(Self::None),
            1 => Ok(Self::Aes256Gcm),
            other => Err(FormatError::Encrypted(other)),
        }
    }

    /// The header's byte.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Aes256Gcm => 1,
        }
    }
}

/// Stores and restores the chunks and the WAL of one tenant.
#[derive(Clone, Default)]
pub struct Codec(Option<Arc<Keys>>);

struct Keys {
    cipher: Cipher,
    /// Hashes of chunks stand in pages, in the clear: without a key they would tell who guesses that the guess is right.
    hash_key: Zeroizing<[u8; HASH_BYTES]>,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Codec").field(&self.encryption()).finish()
    }
}

impl Codec {
    /// Makes the codec of a tenant without a key, or with this one.
    pub fn new(key: Option<&DataKey>) -> Self {
        Self(key.map(|key| {
            let hash_key = Zeroizing::new(blake3::derive_key("roostdb.dev 2026-11 chunk hash", key.bytes()));
            Arc::new(Keys { cipher: Cipher::new(key.bytes()), hash_key })
        }))
    }

    /// Encryption of what it stores.
    pub fn encryption(&self) -> Encryption {
        if self.0.is_some() { Encryption::Aes256Gcm } else { Encryption::None }
    }

    /// Identity of a chunk's content: its lineage and number are part of it, so that no chunk can stand in for another.
    pub fn chunk_hash(&self, lineage: Lineage, index: u64, raw: &[u8]) -> [u8; HASH_BYTES] {
        let mut hasher = match &self.0 {
            Some(keys) => blake3::Hasher::new_keyed(&keys.hash_key),
            None => blake3::Hasher::new(),
        };
        hasher.update(lineage.as_bytes()).update(&index.to_le_bytes()).update(raw);
        *hasher.finalize().as_bytes()
    }

    /// A chunk as it is stored.
    pub fn store_chunk(&self, lineage: Lineage, index: u64, raw: &[u8]) -> Result<Vec<u8>, FormatError> {
        self.store(&chunk_place(lineage, index), raw)
    }

    /// Restores a stored chunk, which must have exactly `length` bytes, and checks its hash.
    pub fn restore_chunk(
        &self,
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
        let raw = self.restore(&chunk_place(lineage, index), stored, length).map_err(damaged)?;
        if self.chunk_hash(lineage, index, &raw) != *hash {
            return Err(damaged("its hash does not match".into()));
        }
        Ok(raw)
    }

    /// A piece of WAL as it is stored.
    pub fn store_wal(&self, stream: &StreamId, sequence: u64, wal: &[u8]) -> Result<Vec<u8>, FormatError> {
        self.store(&wal_place(stream, sequence), wal)
    }

    /// Restores a stored piece of WAL of `length` bytes.
    pub fn restore_wal(
        &self,
        stream: &StreamId,
        sequence: u64,
        stored: &[u8],
        length: usize,
    ) -> Result<Vec<u8>, FormatError> {
        let restored = self.restore(&wal_place(stream, sequence), stored, length);
        restored.map_err(|why| FormatError::Damaged(format!("its WAL: {why}")))
    }

    /// Whether it can read what an object's header says of it. All of a tenant is encrypted, or nothing.
    pub(crate) fn check(&self, found: Encryption) -> Result<(), FormatError> {
        match (found, self.encryption()) {
            (Encryption::Aes256Gcm, Encryption::None) => Err(FormatError::KeyMissing),
            (Encryption::None, Encryption::Aes256Gcm) => {
                Err(FormatError::Damaged("it is not encrypted, and the tenant is".into()))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the codec has a key if the tenant is encrypted, and none if it is not.
    pub(crate) fn check_tenant(&self, encrypted: bool) -> Result<(), KeyError> {
        match (encrypted, self.encryption()) {
            (true, Encryption::None) => Err(KeyError::NotGiven),
            (false, Encryption::Aes256Gcm) => Err(KeyError::NotEncrypted),
            _ => Ok(()),
        }
    }

    fn store(&self, place: &[u8], raw: &[u8]) -> Result<Vec<u8>, FormatError> {
        let failed = |why: &str| FormatError::Damaged(format!("it cannot be stored: {why}"));
        let compressed = zstd::bulk::compress(raw, LEVEL).map_err(|error| failed(&error.to_string()))?;
        match &self.0 {
            Some(keys) => keys.cipher.seal(place, &compressed).map_err(|_| failed("it is too long")),
            None => Ok(compressed),
        }
    }

    fn restore(&self, place: &[u8], stored: &[u8], length: usize) -> Result<Vec<u8>, String> {
        match &self.0 {
            Some(keys) => {
                let opened = keys.cipher.open(place, stored);
                decompress(&opened.ok_or("it cannot be decrypted")?, length)
            }
            None => decompress(stored, length),
        }
    }
}

fn decompress(stored: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let mut raw = Vec::with_capacity(length);
    // One byte more than expected is enough to notice a longer text, without trusting the stored length.
    zstd::Decoder::with_buffer(stored)
        .and_then(|decoder| decoder.take(length as u64 + 1).read_to_end(&mut raw))
        .map_err(|error| error.to_string())?;
    if raw.len() == length { Ok(raw) } else { Err(format!("it has {} bytes, expected {length}", raw.len())) }
}

fn chunk_place(lineage: Lineage, index: u64) -> Vec<u8> {
    [b"chunk ", &lineage.as_bytes()[..], &index.to_le_bytes()].concat()
}

fn wal_place(stream: &StreamId, sequence: u64) -> Vec<u8> {
    let StreamId { lineage, epoch, manifest } = stream;
    [b"WAL ", &lineage.as_bytes()[..], &epoch.to_le_bytes(), &manifest.to_le_bytes(), &sequence.to_le_bytes()]
        .concat()
}
