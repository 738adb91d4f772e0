//! The bucket with bounded retries, and writes that end decided.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::encryption::Codec;
use crate::environment::Environment;
use crate::format::json::{self, Document};
use crate::format::segment::{self, Slot};
use crate::format::{FormatError, ReadError, pin, tenant};
use crate::format::{catalogue::CatalogueEntry, head::Head, manifest::Manifest};
use crate::identity::PutId;
use crate::mutation::{Mutation, broken};
use crate::object::{Changed, Condition, ETag, Listed, MAX_LIST_PAGE, Object, ObjectError, ObjectStore};
use crate::public_error::PublicError;
use crate::step::stepped;
use roost_protocol::problem::ErrorCode;

/// Tries of one request before it is given up.
pub const MAX_ATTEMPTS: u32 = 8;
/// Wait before the second try; doubled for each further one, with jitter.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// Longest wait between two tries. Above R2's one write a second to a key.
pub const MAX_BACKOFF: Duration = Duration::from_secs(3);

/// Why a write has no good end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Nobody knows whether it took effect. A process that owns a branch must exit.
    #[error("it is not known whether the write of {key} took effect: {message}")]
    Undecided {
        /// The object.
        key: String,
        /// The last answers.
        message: String,
    },
    /// It did not take effect.
    #[error(transparent)]
    Refused(#[from] ObjectError),
    /// The object that is there instead cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Someone else's object is there.
    #[error("object {key} was written by someone else")]
    Other {
        /// The object.
        key: String,
    },
}

impl PublicError for WriteError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Undecided { .. } | Self::Other { .. } => ErrorCode::StorageUnreachable,
            Self::Refused(error) => error.code(),
            Self::Read(error) => error.code(),
        }
    }
}

/// A type that an object of the bucket decodes to.
pub(crate) trait Readable: Sized {
    /// Largest accepted object in bytes.
    const LIMIT: u64;
    fn decode(bytes: &[u8]) -> Result<Self, FormatError>;
}

/// An object that carries the identity of the write that made it.
pub(crate) trait Signed: Readable {
    fn put_id(&self) -> PutId;
    fn encode(&self) -> Result<Vec<u8>, FormatError>;
}

impl<T: Document> Readable for T {
    const LIMIT: u64 = T::LIMIT;
    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        json::decode(bytes)
    }
}

impl Readable for Slot {
    const LIMIT: u64 = segment::MAX_SEGMENT_BYTES;
    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        segment::decode(bytes)
    }
}

impl Signed for Slot {
    fn put_id(&self) -> PutId {
        self.put_id()
    }
    fn encode(&self) -> Result<Vec<u8>, FormatError> {
        segment::encode(self)
    }
}

macro_rules! signed {
    ($($document:ty),*) => {
        $(impl Signed for $document {
            fn put_id(&self) -> PutId {
                self.put_id
            }
            fn encode(&self) -> Result<Vec<u8>, FormatError> {
                Ok(json::encode(self))
            }
        })*
    };
}
signed!(Head, Manifest, CatalogueEntry, pin::Pin, pin::Condemned, tenant::TenantRecord);

/// Outcome of a conditional write. There is no other one but [`WriteError`].
#[derive(Debug)]
pub(crate) enum Settled<T> {
    /// Our object is there.
    Mine(ETag),
    /// Someone else's is there; none: the object to replace is gone.
    Other(Option<(T, ETag)>),
}

/// A conditional write on its way: what every attempt repeats, and what is known of the earlier ones.
struct Write<'a, T> {
    key: &'a str,
    document: &'a T,
    condition: &'a Condition,
    bytes: Bytes,
    attempts: u32,
    /// Why an earlier attempt may still take effect.
    doubt: Option<String>,
}

impl<'a, T: Signed> Write<'a, T> {
    fn new(key: &'a str, document: &'a T, condition: &'a Condition) -> Result<Self, ReadError> {
        let bytes = document.encode().map_err(ReadError::content(key))?.into();
        Ok(Self { key, document, condition, bytes, attempts: 0, doubt: None })
    }
}

/// An object store, asked again while its answers decide nothing.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) environment: Environment,
    /// Codec of chunks and WAL; without a key, an encrypted tenant can be walked but not read.
    pub(crate) codec: Codec,
}

/// Repeats an idempotent request while its answer is undecided.
macro_rules! retried {
    ($bucket:expr, $step:literal, $subject:expr, $request:expr) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            match stepped($step, $subject, $request).await {
                Err(ObjectError::Undecided { .. }) if attempt < MAX_ATTEMPTS => {
                    $bucket.back_off(attempt).await
                }
                decided => break decided,
            }
        }
    }};
}

impl Bucket {
    /// Without any tenant's key.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, environment: Environment) -> Self {
        Self { store, environment, codec: Codec::default() }
    }

    pub(crate) async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        retried!(self, "get", key, self.store.get(key, limit))
    }

    pub(crate) async fn get_if_changed(
        &self,
        key: &str,
        etag: &ETag,
        limit: u64,
    ) -> Result<Changed, ObjectError> {
        retried!(self, "get if changed", key, self.store.get_if_changed(key, etag, limit))
    }

    pub(crate) async fn get_range(
        &self,
        key: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Bytes, ObjectError> {
        retried!(self, "get range", key, self.store.get_range(key, range.clone()))
    }

    /// Writes an object whose name nobody else can have; repeating it writes the same bytes.
    pub(crate) async fn put_immutable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        retried!(self, "put", key, self.store.put(key, bytes.clone(), Condition::Always)).map(drop)
    }

    /// Writes an object whose content is the same whoever writes it. One that is there is
    /// [`ObjectError::PreconditionFailed`].
    pub(crate) async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        retried!(self, "put", key, self.store.put(key, bytes.clone(), Condition::IfAbsent)).map(drop)
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        retried!(self, "delete", key, self.store.delete(key))
    }

    /// Every key with a prefix. More than `at_most` are an error, as is whatever may leave one out.
    pub(crate) async fn list_all(&self, prefix: &str, at_most: usize) -> Result<Vec<Listed>, ObjectError> {
        let listed = self.list_first(prefix, None, at_most.saturating_add(1)).await?;
        if listed.len() > at_most {
            let message = format!("it has more than {at_most} objects");
            return Err(ObjectError::ListingIncomplete { key: prefix.to_owned(), message });
        }
        Ok(listed)
    }

    /// The first `limit` keys with a prefix, after the key `after`, over as many pages as it takes. Fewer than `limit` only
    /// if there are no more.
    pub(crate) async fn list_first(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, ObjectError> {
        let mut listed: Vec<Listed> = Vec::new();
        loop {
            let from = listed.last().map(|last| last.key.clone()).or_else(|| after.map(str::to_owned));
            let page = MAX_LIST_PAGE.min(limit - listed.len());
            let listing = retried!(self, "list", prefix, self.store.list(prefix, from.as_deref(), page))?;
            let listing = listing.checked(prefix, from.as_deref())?;
            listed.extend(listing.objects);
            if !listing.truncated || listed.len() >= limit {
                return Ok(listed);
            }
        }
    }

    /// Reads a document; none if the object does not exist.
    pub(crate) async fn find<T: Readable>(&self, key: &str) -> Result<Option<(T, ETag)>, ReadError> {
        match self.get(key, T::LIMIT).await {
            Ok(object) => {
                let document = T::decode(&object.bytes).map_err(ReadError::content(key))?;
                Ok(Some((document, object.etag)))
            }
            Err(ObjectError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a document that must exist.
    pub(crate) async fn read<T: Readable>(&self, key: &str) -> Result<(T, ETag), ReadError> {
        match self.find(key).await? {
            Some(found) => Ok(found),
            None => Err(ObjectError::NotFound { key: key.into() }.into()),
        }
    }

    /// Writes a document under a condition until it is known whose version is there.
    ///
    /// Every attempt repeats the same bytes and the same put-id. An answer that decides nothing, and also a
    /// failed condition (it may be an earlier attempt of ours that holds the place), is settled by reading back.
    pub(crate) async fn settle<T: Signed>(
        &self,
        key: &str,
        document: &T,
        condition: &Condition,
    ) -> Result<Settled<T>, WriteError> {
        let mut write = Write::new(key, document, condition)?;
        for _ in 0..MAX_ATTEMPTS {
            if let Some(settled) = self.attempt(&mut write).await? {
                return Ok(settled);
            }
        }
        let message = format!("{MAX_ATTEMPTS} attempts; {}", write.doubt.unwrap_or_default());
        Err(WriteError::Undecided { key: key.into(), message })
    }

    /// [`Self::settle`] that never ends undecided: while the bucket is away it asks on, until nobody waits for it.
    pub(crate) async fn settle_at_last<T: Signed>(
        &self,
        key: &str,
        document: &T,
        condition: &Condition,
    ) -> Result<Settled<T>, ReadError> {
        let mut write = Write::new(key, document, condition)?;
        loop {
            match self.attempt(&mut write).await {
                Ok(Some(settled)) => return Ok(settled),
                Ok(None) => {}
                Err(WriteError::Read(unreadable)) => return Err(unreadable),
                Err(error) => {
                    tracing::warn!(key, attempt = write.attempts, %error, "a write has no answer; trying on");
                    write.doubt.get_or_insert(error.to_string());
                    self.back_off(write.attempts).await;
                }
            }
        }
    }

    /// Sends a write once and, unless the answer decides it, reads back who has the place. None: send it again.
    async fn attempt<T: Signed>(&self, write: &mut Write<'_, T>) -> Result<Option<Settled<T>>, WriteError> {
        let Write { key, condition, .. } = *write;
        write.attempts += 1;
        match stepped("put", key, self.store.put(key, write.bytes.clone(), condition.clone())).await {
            Ok(etag) => return Ok(Some(Settled::Mine(etag))),
            Err(ObjectError::PreconditionFailed { .. }) => {}
            Err(ObjectError::Undecided { message, .. }) => {
                write.doubt = Some(message);
                self.back_off(write.attempts).await;
            }
            Err(error) => {
                return Err(match &write.doubt {
                    Some(doubt) => {
                        WriteError::Undecided { key: key.into(), message: format!("{doubt}; then {error}") }
                    }
                    None => error.into(),
                });
            }
        }
        let found = match self.find::<T>(key).await {
            Ok(found) => found,
            Err(ReadError::Object(error)) => {
                return Err(WriteError::Undecided { key: key.into(), message: error.to_string() });
            }
            Err(error) => return Err(error.into()),
        };
        Ok(match (found, condition) {
            (Some((there, etag)), _)
                if there.put_id() == write.document.put_id() && !broken(Mutation::NewPutIdOnRetry) =>
            {
                Some(Settled::Mine(etag))
            }
            // The place is as the write expects it: it has not taken effect (yet), so send it again.
            (None, Condition::IfAbsent) => None,
            (Some((_, etag)), Condition::IfMatch(expected)) if etag == *expected => None,
            (found, _) => Some(Settled::Other(found)),
        })
    }

    /// Creates an object; someone else's in its place is an error.
    pub(crate) async fn create<T: Signed>(&self, key: &str, document: &T) -> Result<(), WriteError> {
        match self.settle(key, document, &Condition::IfAbsent).await? {
            Settled::Mine(_) => Ok(()),
            Settled::Other(_) => Err(WriteError::Other { key: key.into() }),
        }
    }

    pub(crate) async fn back_off(&self, attempt: u32) {
        let full = FIRST_BACKOFF.saturating_mul(1 << attempt.min(16).saturating_sub(1)).min(MAX_BACKOFF);
        let mut byte = [0];
        self.environment.randomness.fill(&mut byte);
        // Between half and all of it, so that actors who collided spread out.
        let wait = full / 2 + full / 2 * u32::from(byte[0]) / 255;
        stepped("back off", attempt, self.environment.clock.sleep(wait)).await;
    }
}
