//! The bucket goes away while the database reads from it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/life.rs"]
mod life;
#[path = "support/silent.rs"]
mod silent;

use life::Life;
use roost_protocol::durability::Durability;
use roost_store::{Adoption, Creation, Environment, Owner, TenantPath, TenantStore, bucket::MAX_ATTEMPTS};
use silent::Silent;
use std::sync::{Arc, atomic::Ordering::SeqCst};

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
    bucket.unanswered_reads.store(MAX_ATTEMPTS + 4, SeqCst);
    life.publish().await.unwrap();
    assert_eq!(bucket.unanswered_reads.load(SeqCst), 0, "the checkpoint needed nothing of the bucket");
    assert!(!life.served.engine.has_failed());
    life.run("INSERT INTO t VALUES (-1, 0)").await.unwrap();
    life.publish().await.unwrap();
}
