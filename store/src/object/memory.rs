//! An object store in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Changed, Condition, ETag, Listed, Listing, Object, ObjectError, ObjectStore, check_key};

/// Objects in a map. Its ETags are hashes of content, as S3's are.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryStore {
    /// An empty bucket.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of everything, for comparison.
    pub fn contents(&self) -> BTreeMap<String, Bytes> {
        self.lock().clone()
    }

    /// Replaces an object behind everybody's back (damage, for tests).
    pub fn overwrite(&self, key: &str, bytes: impl Into<Bytes>) {
        self.lock().insert(key.to_owned(), bytes.into());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        // Each change is one insert or remove, so a panicking holder leaves the map whole.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ETag that [`MemoryStore`] and the directory store give to content.
pub(super) fn content_etag(bytes: &[u8]) -> ETag {
    ETag(format!("\"{}\"", blake3::hash(bytes).to_hex()))
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        check_key(key)?;
        let bytes = self.lock().get(key).cloned().ok_or_else(|| ObjectError::NotFound { key: key.into() })?;
        if bytes.len() as u64 > limit {
            return Err(ObjectError::TooLarge { key: key.into(), limit });
        }
        let etag = content_etag(&bytes);
        Ok(Object { bytes, etag })
    }

    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        let object = self.get(key, limit).await?;
        Ok(if object.etag == *etag { Changed::Same } else { Changed::Changed(object) })
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        check_key(key)?;
        let bytes = self.lock().get(key).cloned().ok_or_else(|| ObjectError::NotFound { key: key.into() })?;
        let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        match bounds {
            Some((start, end)) if start <= end && end <= bytes.len() => Ok(bytes.slice(start..end)),
            _ => Err(ObjectError::TooShort { key: key.into() }),
        }
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        check_key(key)?;
        let mut objects = self.lock();
        let current = objects.get(key).map(|bytes| content_etag(bytes));
        let holds = match condition {
            Condition::Always => true,
            Condition::IfAbsent => current.is_none(),
            Condition::IfMatch(etag) => current == Some(etag),
        };
        if !holds {
            return Err(ObjectError::PreconditionFailed { key: key.into() });
        }
        let etag = content_etag(&bytes);
        objects.insert(key.to_owned(), bytes);
        Ok(etag)
    }

    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        let bytes = tokio::fs::read(path).await.map_err(|e| ObjectError::Rejected {
            key: key.into(),
            message: format!("{} cannot be read: {e}", path.display()),
        })?;
        self.put(key, bytes.into(), condition).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        let objects = self.lock();
        let from = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let mut keys = objects
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, bytes)| Listed { key: key.clone(), size: bytes.len() as u64 });
        let listed = keys.by_ref().take(limit).collect();
        Ok(Listing { objects: listed, truncated: keys.next().is_some() })
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        self.lock().remove(key);
        Ok(())
    }
}
