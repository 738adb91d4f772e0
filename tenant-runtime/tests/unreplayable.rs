//! A branch whose WAL cannot be replayed: what is said, what stays, and how far it opens.

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
use roost_protocol::{
    durability::Durability,
    problem::{ErrorCode, Problem},
};
use roost_store::{
    Adoption, BranchName, BranchObject, BranchSource, Creation, DatedPosition, DirectoryStore, Environment,
    Head, ObjectStore as _, Owner, PinKind, TenantPath, TenantStore, object::MAX_LIST_PAGE,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tenant_runtime::{
    limits::Sizing,
    serving::opening::{EngineSetup, Folders},
    workers::private_copy,
};

/// The bucket.
const KEPT: &str = "tests/buckets/unreplayable";
/// Statements whose commits its WAL holds.
const COMMITS: &str = include_str!("buckets/unreplayable.sql");
/// Number of the commit among them that DuckDB 1.5.6 cannot replay, counted from 0.
const BAD: usize = 3;

/// A copy of the bucket, and its tenant.
struct Bucket {
    disk: tempfile::TempDir,
    tenant: TenantStore,
}

impl Bucket {
    async fn copied() -> Self {
        let disk = tempfile::tempdir().unwrap();
        copy_bucket(&Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT), &disk.path().join("bucket"));
        let tenant = tenant(&disk.path().join("bucket")).await;
        Self { disk, tenant }
    }

    fn cache(&self, name: &str) -> PathBuf {
        self.disk.path().join(name)
    }

    async fn open(&self, branch: &BranchName, cache: &str) -> Result<Life, Problem> {
        let (cache, environment) = (self.cache(cache), Environment::system());
        Life::open_branch(&self.tenant, branch, &cache, Durability::Synchronous, environment).await
    }

    async fn head(&self) -> Head {
        self.tenant.head(&BranchName::main()).await.unwrap()
    }

    /// All objects, with their bytes.
    async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let store = DirectoryStore::open(self.cache("bucket")).unwrap();
        let listed = store.list("", None, MAX_LIST_PAGE).await.unwrap();
        assert!(!listed.truncated);
        let mut objects = BTreeMap::new();
        for object in listed.objects {
            let bytes = store.get(&object.key, u64::MAX).await.unwrap().bytes;
            objects.insert(object.key, bytes.to_vec());
        }
        objects
    }

    /// Every commit boundary of main.
    async fn commits(&self) -> (roost_store::ReadablePosition, Vec<DatedPosition>) {
        let main = BranchName::main();
        let pinned = self.tenant.pin(PinKind::Reader, "check", "uid", &main, None).await.unwrap();
        let readable = self.tenant.branch(&main).open_position(&pinned.position, &pinned.pin).await.unwrap();
        let commits = readable.commits();
        (readable, commits)
    }
}

async fn tenant(folder: &Path) -> TenantStore {
    let store = DirectoryStore::open(folder).unwrap();
    let id = store.id().to_owned();
    let owner = Owner { cluster_id: "standalone".into(), namespace_uid: id.clone(), tenant_uid: id };
    let path = TenantPath::new("", "default", "demo").unwrap();
    let tenant = TenantStore::new(Arc::new(store), path, owner, Environment::system());
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    tenant
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_with_its_time_and_everything_is_kept() {
    let bucket = Bucket::copied().await;
    let (before, head) = (bucket.objects().await, bucket.head().await);
    let mut after = Vec::new();
    for attempt in 1..=3 {
        let problem = bucket.open(&BranchName::main(), &format!("attempt-{attempt}")).await.err().unwrap();
        assert_eq!(problem.code, ErrorCode::ReplayFailed, "{problem}");
        let published = head.last_commit.unwrap().to_string();
        assert!(problem.detail.contains(&format!("from: {{time: \"{published}\"}}")), "{problem}");
        after.push((bucket.objects().await, bucket.head().await));
    }
    for (objects, now) in &after {
        assert!(!now.sealed, "sealing it would drop the stream");
        assert_eq!(
            (&now.manifest, now.stream, now.last_commit),
            (&head.manifest, head.stream, head.last_commit)
        );
        for (key, bytes) in before.iter().filter(|(key, _)| !key.ends_with("/HEAD")) {
            assert_eq!(objects.get(key), Some(bytes), "{key}");
        }
    }
    // Each wake leaves a seal of some hundred bytes, and nothing else.
    let added = |objects: &BTreeMap<String, Vec<u8>>| {
        objects.keys().filter(|key| !before.contains_key(*key)).cloned().collect::<Vec<_>>()
    };
    for (wakes, (objects, _)) in (1..).zip(&after) {
        let added = added(objects);
        assert_eq!(added.len(), wakes, "{added:?}");
        assert!(added.iter().all(|key| key.contains("/wal/")), "{added:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_commit_that_opens_is_found_and_a_branch_of_it_serves() {
    let bucket = Bucket::copied().await;
    let (readable, commits) = bucket.commits().await;
    assert_eq!(commits.len(), COMMITS.lines().count(), "{commits:#?}");
    let setup = EngineSetup {
        database: "demo".into(),
        sizing: Sizing { memory_bytes: 1 << 30, threads: 2 },
        settings: BTreeMap::new(),
        spill_limit: 1 << 30,
        cache_limit: 1 << 30,
        max_sessions: 1,
    };
    for (number, commit) in commits.iter().enumerate() {
        let folders = Folders::make(&bucket.cache("check")).unwrap();
        let until = readable.until(&commit.position);
        let tried = private_copy::open(&until, &setup, folders, None, Environment::system()).await.map(drop);
        // The manifest comes before the commits.
        if number <= BAD {
            tried.unwrap();
        } else {
            assert_eq!(tried.unwrap_err().code, ErrorCode::ReplayFailed, "{number}");
        }
    }

    let rows = "select list(i order by i)::varchar from (from kept select i union all from also)";
    let dev = BranchName::new("dev").unwrap();
    let from = BranchSource::Moment(BranchName::main(), commits[BAD].last_commit.unwrap());
    bucket.tenant.create_branch(&dev, BranchObject { name: "dev", uid: "dev" }, &from).await.unwrap();
    let life = bucket.open(&dev, "dev").await.unwrap();
    assert_eq!(life.text(rows).await.unwrap(), "[1, 2, 3]");
    life.run("insert into kept values (6, 'goes on')").await.unwrap();
    life.seal().await.unwrap();

    // One that has no manifest of its own yet, and cannot be opened either.
    let bad = BranchName::new("bad").unwrap();
    let from = BranchSource::Moment(BranchName::main(), commits[BAD + 1].last_commit.unwrap());
    bucket.tenant.create_branch(&bad, BranchObject { name: "bad", uid: "bad" }, &from).await.unwrap();
    for attempt in ["bad-1", "bad-2"] {
        let problem = bucket.open(&bad, attempt).await.err().unwrap();
        assert_eq!(problem.code, ErrorCode::ReplayFailed, "{problem}");
        assert!(problem.detail.contains("from: {branchName: bad, time: "), "{problem}");
    }
}
