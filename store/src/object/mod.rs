//! The bucket: what Roost needs of an object store, and the stores there are.

use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::SignedDuration;

use crate::public_error::PublicError;
use roost_protocol::problem::ErrorCode;

mod clock;
pub mod directory;
pub mod fault;
pub mod memory;
pub mod probe;
pub mod s3;

/// Longest key.
pub const MAX_KEY_BYTES: usize = 900;
/// Most keys that one LIST returns.
pub const MAX_LIST_PAGE: usize = 1_000;
/// Largest object that one PUT may carry (S3's own bound).
pub const MAX_PUT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// An object's version as its store names it. Opaque; compared only for equality.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(pub String);

/// A whole object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its content.
    pub bytes: Bytes,
    /// Its version.
    pub etag: ETag,
}

/// Answer of [`ObjectStore::get_if_changed`].
#[derive(Debug, Clone)]
pub enum Changed {
    /// The object still has the ETag asked about.
    Same,
    /// It has another one.
    Changed(Object),
}

/// When a PUT may take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Only if no object has this key (`If-None-Match: *`).
    IfAbsent,
    /// Only over exactly this version (`If-Match`).
    IfMatch(ETag),
    /// Always. Only for immutable objects whose name holds 128 random bits: a repeat writes the same bytes.
    Always,
}

/// One listed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

/// One page of a listing, ordered by key. One that is truncated has at least one key, after which the next page begins.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The keys.
    pub objects: Vec<Listed>,
    /// Whether more follow after the last one.
    pub truncated: bool,
}

impl Listing {
    /// Refuses a page after which nobody could go on without leaving something out.
    pub(crate) fn checked(self, prefix: &str, after: Option<&str>) -> Result<Self, ObjectError> {
        let incomplete =
            |why: String| Err(ObjectError::ListingIncomplete { key: prefix.to_owned(), message: why });
        let mut before = after;
        for Listed { key, .. } in &self.objects {
            if !key.starts_with(prefix) {
                return incomplete(format!("{key} is not below it"));
            }
            if before.is_some_and(|before| key.as_str() <= before) {
                return incomplete(format!("{key} is not in the order of keys"));
            }
            before = Some(key);
        }
        if self.truncated && self.objects.is_empty() {
            return incomplete("a page of it is empty, and more is said to follow".to_owned());
        }
        Ok(self)
    }
}

/// Why a request to the bucket has no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// No such object.
    #[error("object {key} does not exist")]
    NotFound {
        /// The key.
        key: String,
    },
    /// The condition of a PUT does not hold. After an undecided attempt this may be one's own write.
    #[error("object {key} is not in the state that the write expects")]
    PreconditionFailed {
        /// The key.
        key: String,
    },
    /// The credentials do not allow this.
    #[error("access to {key} is denied: {message}; check the credentials and their rights on the bucket")]
    Denied {
        /// The key.
        key: String,
        /// The endpoint's words.
        message: String,
    },
    /// The bucket itself does not exist.
    #[error("bucket {bucket} does not exist: {message}")]
    NoSuchBucket {
        /// The bucket.
        bucket: String,
        /// The endpoint's words.
        message: String,
    },
    /// The body is above the limit of its kind.
    #[error("object {key} is larger than {limit} bytes, the limit of its kind")]
    TooLarge {
        /// The key.
        key: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// It ends before the range that was asked for.
    #[error("object {key} is shorter than what refers to it says")]
    TooShort {
        /// The key.
        key: String,
    },
    /// The key is not one that Roost makes.
    #[error("{key:?} is not a valid object key")]
    InvalidKey {
        /// The key.
        key: String,
    },
    /// A listing that may lack something. Whoever deletes what a listing does not show must not go on.
    #[error("the listing of {key} cannot be proven complete: {message}")]
    ListingIncomplete {
        /// Prefix of all its keys.
        key: String,
        /// Reason why it may lack something.
        message: String,
    },
    /// No answer that decides: 409, 429, 5xx, a time-out, a lost connection. A write may have taken effect.
    #[error("no decisive answer for {key}: {message}")]
    Undecided {
        /// The key.
        key: String,
        /// Account of what happened.
        message: String,
    },
    /// The endpoint refused in a way that repeating cannot change.
    #[error("the endpoint refused the request for {key}: {message}")]
    Rejected {
        /// The key.
        key: String,
        /// The endpoint's words.
        message: String,
    },
}

impl PublicError for ObjectError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Denied { .. } | Self::Rejected { .. } | Self::NoSuchBucket { .. } => {
                ErrorCode::StorageDenied
            }
            // Whoever reads an object was referred to it.
            Self::NotFound { .. } | Self::TooLarge { .. } | Self::TooShort { .. } => ErrorCode::DataCorrupted,
            Self::InvalidKey { .. } => ErrorCode::Internal,
            Self::Undecided { .. } | Self::PreconditionFailed { .. } | Self::ListingIncomplete { .. } => {
                ErrorCode::StorageUnreachable
            }
        }
    }
}

impl ObjectError {
    /// Whether the same request may succeed a moment later.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Undecided { .. } | Self::PreconditionFailed { .. })
    }
}

/// A bucket with conditional writes. Each method is one request (a listing more than one if the store sends empty pages);
/// retries are the caller's.
#[async_trait]
pub trait ObjectStore: Send + Sync + std::fmt::Debug {
    /// Reads a whole object of at most `limit` bytes.
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError>;
    /// Reads a whole object unless it still has `etag`.
    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError>;
    /// Reads exactly `range`; an object that ends before it is [`ObjectError::TooShort`].
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError>;
    /// Writes an object under a condition.
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError>;
    /// Writes a local file as an object without holding it in memory.
    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError>;
    /// Lists at most `limit` keys that start with `prefix`, in order, after the key `after`. Never leaves one out: what
    /// may be incomplete is [`ObjectError::ListingIncomplete`].
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError>;
    /// Deletes an object; one that does not exist is no error.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;
    /// Time by which its clock was ahead of this machine's at its last answers, to within seconds. None: it has no
    /// clock of its own, or did not tell yet.
    fn clock_ahead(&self) -> Option<SignedDuration> {
        None
    }
}

/// Keys are segments of `A-Z a-z 0-9 . _ - =` joined by `/`; no segment is empty, `.` or `..`.
pub(crate) fn check_key(key: &str) -> Result<(), ObjectError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'=');
    let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.bytes().all(plain);
    if key.len() <= MAX_KEY_BYTES && key.split('/').all(segment) {
        return Ok(());
    }
    Err(ObjectError::InvalidKey { key: key.chars().take(200).collect() })
}
