//! The bucket goes away while the database reads from it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/life.rs"]
mod life;

use async_trait::async_trait;
use bytes::Bytes;
use life::Life;
use roost_protocol::durability::Durability;
use roost_store::{
    Adoption, Creation, Environment, MemoryStore, ObjectError, ObjectStore, Owner, TenantPath, TenantStore,
    bucket::MAX_ATTEMPTS,
    object::{Changed, Condition, ETag, Listing, Object},
};
use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

/// A bucket that does not answer the next so many reads of packs.
#[derive(Debug, Default)]
struct Silent {
    memory: MemoryStore,
    unanswered: AtomicU32,
}

#[async_trait]
impl ObjectStore for Silent {
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        if self.unanswered.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(ObjectError::Undecided { key: key.into(), message: "no answer".into() });
        }
        self.memory.get_range(key, range).await
    }
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        self.memory.get(key, limit).await
    }
    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        self.memory.get_if_changed(key, etag, limit).await
    }
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        self.memory.put(key, bytes, condition).await
    }
    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        self.memory.put_file(key, path, condition).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        self.memory.list(prefix, after, limit).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.memory.delete(key).await
    }
}

/// One that gives up would end the database: nothing could be asked or published until the process is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_waits_for_a_bucket_that_is_away() {
    let bucket = Arc::new(Silent::default());
    let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
    let path = TenantPath::new("", "shop", "acme").unwrap();
    let tenant = TenantStore::new(bucket.clone(), path, owner, Environment::system());
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    let disk = tempfile::tempdir().unwrap();
    let first = Life::open(&tenant, &disk.path().join("first"), Durability::Synchronous).await.unwrap();
    first.run("CREATE TABLE t AS SELECT i, hash(i) AS h FROM range(500000) r(i)").await.unwrap();
    first.seal().await.unwrap();
    drop(first);

    // The column is rewritten by the checkpoint, which needs the rest of it.
    let life = Life::open(&tenant, &disk.path().join("second"), Durability::Synchronous).await.unwrap();
    life.run("UPDATE t SET h = 7 WHERE i = 100000").await.unwrap();
    // More than one read tries.
    bucket.unanswered.store(MAX_ATTEMPTS + 4, SeqCst);
    life.publish().await.unwrap();
    assert_eq!(bucket.unanswered.load(SeqCst), 0, "the checkpoint needed nothing of the bucket");
    assert!(!life.served.engine.has_failed());
    life.run("INSERT INTO t VALUES (-1, 0)").await.unwrap();
    life.publish().await.unwrap();
}
