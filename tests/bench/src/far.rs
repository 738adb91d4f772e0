//! A bucket that is further away than the one on this machine.

use async_trait::async_trait;
use bytes::Bytes;
use roost_store::{
    ObjectStore,
    object::{Changed, Condition, ETag, Listing, Object, ObjectError},
};
use std::{ops::Range, path::Path, sync::Arc, time::Duration};
use tokio::time::sleep;

/// A bucket whose requests arrive later.
#[derive(Debug)]
pub struct Far {
    /// The bucket.
    pub bucket: Arc<dyn ObjectStore>,
    /// Delay of each request.
    pub by: Duration,
}

#[async_trait]
impl ObjectStore for Far {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        sleep(self.by).await;
        self.bucket.get(key, limit).await
    }

    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        sleep(self.by).await;
        self.bucket.get_if_changed(key, etag, limit).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        sleep(self.by).await;
        self.bucket.get_range(key, range).await
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        sleep(self.by).await;
        self.bucket.put(key, bytes, condition).await
    }

    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        sleep(self.by).await;
        self.bucket.put_file(key, path, condition).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        sleep(self.by).await;
        self.bucket.list(prefix, after, limit).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        sleep(self.by).await;
        self.bucket.delete(key).await
    }
}
