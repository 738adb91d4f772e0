//! Envelope of the JSON objects: kind, version, and a checksum over every byte.
//!
//! `{"format":"roost-head","version":1,...,"checksum":"<blake3>"}` and nothing after it. The checksum covers
//! all bytes before `,"checksum"`, so unknown members of the same version are covered too.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::FormatError;

const TAIL_START: &[u8] = br#","checksum":""#;
const TAIL_END: &[u8] = br#""}"#;
const HASH_CHARS: usize = 64;
const TAIL: usize = TAIL_START.len() + HASH_CHARS + TAIL_END.len();

/// A kind of JSON object.
pub trait Document: Serialize + DeserializeOwned {
    /// The value of its `format` member.
    const FORMAT: &'static str;
    /// The newest version that this release reads.
    const VERSION: u32;
    /// Largest accepted object in bytes.
    const LIMIT: u64;
    /// The version that this one is written as: the oldest whose readers would not mistake it.
    fn version(&self) -> u32 {
        Self::VERSION
    }
}

#[derive(Serialize)]
struct Written<'a, T> {
    format: &'static str,
    version: u32,
    #[serde(flatten)]
    document: &'a T,
}

#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

/// Writes a document.
pub fn encode<T: Document>(document: &T) -> Vec<u8> {
    let written = Written { format: T::FORMAT, version: document.version(), document };
    // Documents are plain structs with string keys, for which serde_json has no failing case.
    let mut bytes = serde_json::to_vec(&written).unwrap_or_default();
    bytes.pop();
    let hash = blake3::hash(&bytes).to_hex();
    bytes.extend_from_slice(TAIL_START);
    bytes.extend_from_slice(hash.as_bytes());
    bytes.extend_from_slice(TAIL_END);
    bytes
}

/// Reads a document; every altered byte is detected.
pub fn decode<T: Document>(bytes: &[u8]) -> Result<T, FormatError> {
    let damaged =
        |what: &str| FormatError::Damaged(format!("{what} in a {} of {} bytes", T::FORMAT, bytes.len()));
    if bytes.len() as u64 > T::LIMIT {
        return Err(damaged("too many bytes"));
    }
    let Some(body_length) = bytes.len().checked_sub(TAIL) else { return Err(damaged("no checksum")) };
    let (body, tail) = bytes.split_at(body_length);
    let hash = blake3::hash(body).to_hex();
    let expected = [TAIL_START, hash.as_bytes(), TAIL_END].concat();
    if tail != expected.as_slice() {
        return Err(damaged("the checksum does not match"));
    }
    let kind: Kind = serde_json::from_slice(bytes).map_err(|e| damaged(&e.to_string()))?;
    if kind.format != T::FORMAT {
        return Err(damaged(&format!("format {:?}", kind.format.chars().take(40).collect::<String>())));
    }
    if kind.version > T::VERSION {
        return Err(FormatError::Version { found: kind.version, supported: T::VERSION });
    }
    serde_json::from_slice(bytes).map_err(|e| damaged(&e.to_string()))
}
