//! Buckets that earlier releases and earlier lives left: each opens, whatever version its objects have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/copy.rs"]
mod copy;
#[path = "support/life.rs"]
mod life;

use copy::copy_bucket;
use life::Life;
use roost_protocol::durability::Durability;
use roost_store::{
    Adoption, ClassKeys, Creation, DirectoryStore, Environment, Owner, TenantPath, TenantStore,
    reachability::{Depth, History, walk},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const FILL: &str = include_str!("buckets/fill.sql");
const MORE: &str = include_str!("buckets/more.sql");
const LOOK: &str = include_str!("buckets/look.sql");

/// The folders, and whether their tenant is encrypted.
const BUCKETS: [(&str, bool); 3] = [("0.1.0", false), ("0.2.0", false), ("0.2.0-encrypted", true)];

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/buckets").join(name)
}

fn path() -> TenantPath {
    TenantPath::new("", "default", "demo").unwrap()
}

fn class_keys() -> ClassKeys {
    ClassKeys::new("golden", [("golden", &*"5a".repeat(32))]).unwrap()
}

/// The tenant of a folder, as a standalone process has it, and as a pod with the tenant's key does.
async fn tenant(folder: &Path, encrypted: bool) -> TenantStore {
    let store = DirectoryStore::open(folder).unwrap();
    let id = store.id().to_owned();
    let owner = Owner { cluster_id: "standalone".into(), namespace_uid: id.clone(), tenant_uid: id };
    let tenant = TenantStore::new(Arc::new(store), path(), owner, Environment::system())
        .with_class_keys(encrypted.then(|| Arc::new(class_keys())));
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    let key = tenant.data_key().await.unwrap();
    assert_eq!(key.is_some(), encrypted);
    tenant.with_data_key(key.as_ref())
}

/// Two lives, of which the second one dies.
async fn make(folder: &Path, encrypted: bool) {
    let disk = tempfile::tempdir().unwrap();
    let tenant = tenant(folder, encrypted).await;
    let first = Life::open(&tenant, &disk.path().join("first"), Durability::Synchronous).await.unwrap();
    first.run(FILL).await.unwrap();
    first.seal().await.unwrap();
    drop(first);
    let second = Life::open(&tenant, &disk.path().join("second"), Durability::Synchronous).await.unwrap();
    second.run(MORE).await.unwrap();
    second.crash();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bucket_opens_and_goes_on() {
    let mut found = Vec::new();
    for (name, encrypted) in BUCKETS {
        if std::env::var_os("ROOST_BLESS").is_some() && !kept(name).exists() {
            make(&kept(name), encrypted).await;
        }
        let disk = tempfile::tempdir().unwrap();
        let folder = disk.path().join("bucket");
        copy_bucket(&kept(name), &folder);
        let tenant = tenant(&folder, encrypted).await;
        let life = Life::open(&tenant, &disk.path().join("cache"), Durability::Synchronous).await.unwrap();
        found.push(life.text(LOOK).await.unwrap());
        life.run("insert into bulk values (7, 'new')").await.unwrap();
        life.crash();
        let life = Life::open(&tenant, &disk.path().join("again"), Durability::Synchronous).await.unwrap();
        assert_eq!(life.text("select count(*)::varchar from bulk").await.unwrap(), "130002", "{name}");
        life.seal().await.unwrap();
        let store = Arc::new(DirectoryStore::open(&folder).unwrap());
        let keys = encrypted.then(class_keys);
        let depth = Depth::Bytes(keys.as_ref());
        let report = walk(store, &path(), Environment::system(), History::Whole, depth).await.unwrap();
        assert!(report.is_clean(), "{name}: {:#?}", report.findings);
    }
    insta::assert_snapshot!("earlier_buckets", found[0]);
    assert!(found.iter().all(|state| *state == found[0]), "{found:#?}");
}
