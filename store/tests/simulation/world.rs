//! One schedule: owners, branches and collectors over a bucket that fails in every way, and what must hold meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::whole_file::whole;
use crate::support::{
    Content, Ledger, ModelDatabase, Seeded, VirtualClock, branch_object, class_keys, environment, owner, path,
};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::SignedDuration;
use roost_store::format::json;
use roost_store::format::manifest::Manifest;
use roost_store::format::page;
use roost_store::garbage::{CollectError, Policy};
use roost_store::object::fault::{FaultStore, Faults, Stop};
use roost_store::object::{Changed, Condition, ETag, Listing, Object};
use roost_store::reachability::{self, Depth, History, KnownManifests, Report};
use roost_store::{
    Adoption, BranchName, BranchSource, ClassKeys, Clock, Creation, DataKey, Environment, Head, Holder,
    Hydrated, MemoryStore, ObjectError, ObjectStore, OwnedBranch, ShipError, Takeover, TenantStore,
};

const ACTORS: u64 = 3;
const LIVES: u64 = 3;
/// Yields after which a run that makes no progress is a failure.
const MAX_TURNS: u64 = 200_000;

/// The bucket, watching every write of a HEAD.
#[derive(Debug)]
struct Watched {
    memory: MemoryStore,
    clock: Arc<VirtualClock>,
    heads: Mutex<BTreeMap<String, Head>>,
    /// When main's epoch became what it is.
    epochs: Mutex<Vec<(Duration, u64)>>,
    /// Keys that were deleted.
    deleted: Mutex<BTreeSet<String>>,
}

impl Watched {
    /// Invariants 3 and 8: HEAD names only what is whole, and only grows.
    fn check(&self, key: &str, head: &Head) {
        let mut heads = self.heads.lock().unwrap();
        if let Some(before) = heads.get(key).filter(|before| before.lineage == head.lineage) {
            assert!(head.epoch >= before.epoch, "epoch went from {} to {}", before.epoch, head.epoch);
            assert!(head.number() >= before.number(), "HEAD went back from manifest {}", before.number());
            if head.number() > before.number() {
                assert_eq!(head.epoch, before.epoch, "a publish by another epoch than HEAD's");
            }
        }
        if key.ends_with("main/HEAD") {
            self.epochs.lock().unwrap().push((self.clock.monotonic(), head.epoch));
        }
        let contents = self.memory.contents();
        if let Some(state) = head.state() {
            let manifests: Vec<_> =
                contents.keys().filter(|key| key.contains(&state.id.to_string())).collect();
            assert_eq!(manifests.len(), 1);
            let manifest: Manifest = json::decode(&contents[manifests[0]]).unwrap();
            for reference in &manifest.pages {
                let key = contents.keys().find(|key| key.ends_with(&format!("pages/{}", reference.name)));
                let page = page::decode(&contents[key.unwrap()]).unwrap();
                for pack in &page.packs {
                    assert!(contents.keys().any(|key| key.ends_with(&format!("packs/{pack}"))));
                }
            }
        }
        heads.insert(key.to_owned(), head.clone());
    }

    fn epoch_at(&self, moment: Duration) -> u64 {
        let epochs = self.epochs.lock().unwrap();
        epochs.iter().take_while(|(since, _)| *since <= moment).last().map_or(0, |(_, epoch)| *epoch)
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        self.memory.get(key, limit).await
    }
    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        self.memory.get_if_changed(key, etag, limit).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.memory.get_range(key, range).await
    }
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        let etag = self.memory.put(key, bytes.clone(), condition).await?;
        if key.ends_with("/HEAD") {
            self.check(key, &json::decode(&bytes).unwrap());
        }
        Ok(etag)
    }
    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        self.memory.put_file(key, path, condition).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        self.memory.list(prefix, after, limit).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.deleted.lock().unwrap().insert(key.to_owned());
        self.memory.delete(key).await
    }
}

struct Run {
    watched: Arc<Watched>,
    environment: Environment,
    ledger: Arc<Mutex<Ledger>>,
    /// Commits that were acknowledged.
    acknowledged: Mutex<Vec<u64>>,
    random: Seeded,
    disk: tempfile::TempDir,
    files: Mutex<u64>,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    keys: Option<(Arc<ClassKeys>, DataKey)>,
    /// The manifests that collectors have read.
    known: KnownManifests,
}

impl Run {
    fn count(&self, outcome: &'static str) {
        *self.outcomes.lock().unwrap().entry(outcome).or_default() += 1;
    }

    fn tenant(&self, store: Arc<dyn ObjectStore>) -> TenantStore {
        let tenant = TenantStore::new(store, path(), owner(), self.environment.clone());
        let (class, data) = self.keys.as_ref().map(|(class, data)| (class.clone(), data)).unzip();
        tenant.with_class_keys(class).with_data_key(data)
    }

    /// Opens a file that was built, and checks that it is some commit's state after all `promised`.
    fn check_content(&self, file: &Path, promised: &[u64]) {
        let content = Content::read(file);
        let ledger = self.ledger.lock().unwrap();
        let (expected, history) = &ledger.states[&content.commit()];
        assert_eq!(content, *expected, "a state that no commit made");
        for commit in promised {
            assert!(history.contains(commit), "commit {commit} was acknowledged and is gone");
        }
    }

    fn file(&self) -> std::path::PathBuf {
        let mut files = self.files.lock().unwrap();
        *files += 1;
        self.disk.path().join(files.to_string())
    }

    /// Tells clients of the last commit as soon as it is durable.
    fn acknowledge(&self, owned: &OwnedBranch, database: &ModelDatabase) {
        let (commit, lsn) = database.committed();
        if owned.durable() >= lsn {
            self.acknowledged.lock().unwrap().extend(commit);
        }
    }

    /// Reads every byte that is needed.
    async fn walk(&self, history: History) -> Report {
        let depth = Depth::Bytes(self.keys.as_ref().map(|(class, _)| &**class));
        let (store, environment) = (self.watched.clone(), self.environment.clone());
        reachability::walk(store, &path(), environment, history, depth).await.unwrap()
    }

    /// Some transactions: small ones, bulk loads, failures.
    fn write(&self, database: &ModelDatabase) {
        for _ in 0..=self.random.below(3) {
            match self.random.below(6) {
                0 => database.fail(database.free()),
                1 => drop(database.commit_with(&[1], &[database.free()])),
                2 if self.random.below(4) == 0 => {
                    let free = database.free();
                    database.commit_with(&[], &(free..free + 6).collect::<Vec<_>>());
                }
                3 if self.random.below(6) == 0 => drop(database.commit_unproven(&[1])),
                _ => drop(database.commit(&[1 + self.random.below(2)])),
            }
        }
    }

    /// Ships what was written, perhaps in several segments. False if the process must end.
    async fn ship(&self, owned: &OwnedBranch, database: &ModelDatabase) -> bool {
        let target = if self.random.below(2) == 0 { 200 } else { u64::MAX };
        while let Some(shipped) = database.ship(target, async |cut| owned.ship(&cut, database).await).await {
            match shipped {
                Ok(_) => self.count("shipped"),
                Err(ShipError::Fenced { .. } | ShipError::Ended(_)) => {
                    self.count("fenced");
                    return false;
                }
                Err(bug) => panic!("{bug}"),
            }
            self.acknowledge(owned, database);
        }
        true
    }

    /// One process's life: take main over, write, ship, publish, perhaps seal. Ends at the first error that says so.
    async fn own(&self, store: Arc<FaultStore>, name: String) {
        let holder = Holder { name: name.clone(), id: name };
        let promised = self.acknowledged.lock().unwrap().clone();
        let branch = self.tenant(store).branch(&BranchName::main());
        let Ok(owned) = branch.take_over(&holder, Takeover::PreviousGone).await else {
            return self.count("not taken over");
        };
        let file = self.file();
        let path = match whole(&owned, &file).await {
            Ok(Hydrated::Empty) => {
                assert!(promised.is_empty(), "acknowledged commits are gone");
                None
            }
            Ok(Hydrated::Restored { wal, .. }) => {
                self.check_content(&file, &promised);
                self.count(if wal > 0 { "replayed" } else { "opened" });
                Some(&*file)
            }
            Err(_) => return self.count("not hydrated"),
        };
        let database = ModelDatabase::open(self.ledger.clone(), path, owned.head().number());
        for _ in 0..=self.random.below(4) {
            if owned.must_publish_first() || self.random.below(3) == 0 {
                let sealing = !owned.must_publish_first() && self.random.below(2) == 0;
                if !self.publish(&owned, &database, sealing).await || sealing {
                    return;
                }
            } else {
                self.write(&database);
                if !self.ship(&owned, &database).await {
                    return;
                }
            }
            if self.random.below(3) == 0
                && let Ok(proof) = owned.prove().await
            {
                assert_eq!(self.watched.epoch_at(proof.sent), owned.epoch(), "a proof after another epoch");
            }
        }
    }

    /// Publishes or seals, with writers at work meanwhile. False if the process must end.
    async fn publish(&self, owned: &OwnedBranch, database: &ModelDatabase, sealing: bool) -> bool {
        self.write(database);
        if sealing {
            let (last, _) = database.committed();
            let sealed = owned.seal(database).await.is_ok();
            if sealed {
                self.acknowledged.lock().unwrap().extend(last);
            }
            self.count(if sealed { "sealed" } else { "seal failed" });
            return sealed;
        }
        let first = owned.must_publish_first();
        let writers = async {
            for _ in 0..self.random.below(4) {
                for _ in 0..self.random.below(30) {
                    tokio::task::yield_now().await;
                }
                self.write(database);
                if !first && !self.ship(owned, database).await {
                    return;
                }
            }
        };
        let (published, ()) = futures::join!(owned.publish(database), writers);
        self.acknowledge(owned, database);
        match published {
            Ok(_) => self.count("published"),
            Err(error) if error.retry() == roost_store::PublishRetry::Never => {
                self.count("gave up");
                return false;
            }
            Err(_) => self.count("publish failed"),
        }
        true
    }

    /// Creates a branch of main, opens it, and checks what it holds.
    async fn branch_off(&self, store: Arc<FaultStore>, name: String) {
        let promised = self.acknowledged.lock().unwrap().clone();
        let tenant = self.tenant(store);
        let branch = BranchName::new(name.clone()).unwrap();
        let source = BranchSource::Branch(BranchName::main());
        if tenant.create_branch(&branch, branch_object(&name), &source).await.is_err() {
            return self.count("not branched");
        }
        let holder = Holder { name: name.clone(), id: name };
        let Ok(owned) = tenant.branch(&branch).take_over(&holder, Takeover::OnlySealed).await else { return };
        let file = self.file();
        if let Ok(Hydrated::Restored { .. }) = whole(&owned, &file).await {
            self.check_content(&file, &promised);
            let database = ModelDatabase::open(self.ledger.clone(), Some(&file), 0);
            database.commit(&[1]);
            if owned.seal(&database).await.is_ok() {
                self.count("branch sealed");
            }
        }
        if self.random.below(2) == 0 && tenant.delete_branch(&branch, branch.as_str()).await.is_ok() {
            self.count("branch deleted");
        }
    }

    fn since_some_commit(&self) -> SignedDuration {
        let commits: Vec<u64> = self.ledger.lock().unwrap().states.keys().copied().collect();
        let Some(last) = commits.len().checked_sub(1) else { return SignedDuration::ZERO };
        let chosen = commits[usize::try_from(self.random.below(last as u64 + 1)).unwrap()];
        self.environment.clock.now().duration_since(ModelDatabase::time_of(chosen))
    }

    /// Collects garbage, of which everything that nothing names any more is.
    async fn collect(&self, store: Arc<FaultStore>) {
        let recovery_window = match self.random.below(3) {
            0 => SignedDuration::ZERO,
            1 => self.since_some_commit(),
            _ => SignedDuration::MAX,
        };
        let policy = Policy {
            recovery_window,
            grace: Duration::from_millis(self.random.below(2)),
            deletes_per_second: NonZeroU32::new(8).unwrap(),
            merge_above: 1 + self.random.below(2),
            dry_run: self.random.below(8) == 0,
        };
        match self.tenant(store).collect(&policy, &self.known, &|_| {}).await {
            Ok(collected) if collected.merged > 0 => self.count("merged"),
            Ok(collected) if collected.deleted.count > 0 => self.count("collected"),
            Ok(_) => self.count("nothing to collect"),
            Err(damaged @ CollectError::Damaged { .. }) => panic!("{damaged}"),
            Err(_) => self.count("not collected"),
        }
    }
}

fn everything() -> Policy {
    Policy {
        recovery_window: SignedDuration::ZERO,
        grace: Duration::ZERO,
        deletes_per_second: NonZeroU32::MAX,
        merge_above: 1,
        dry_run: false,
    }
}

fn fault_store(run: &Run, watched: &Arc<Watched>) -> Arc<FaultStore> {
    let random = &run.random;
    let mut faults =
        if random.below(4) == 0 { Faults { delay: 8, ..Faults::default() } } else { Faults::frequent() };
    if random.below(3) == 0 {
        (faults.outage_from, faults.outage_length) = (random.below(20), random.below(24));
    }
    let (request, after_effect) = (random.below(24), random.below(2) == 0);
    let stop = match random.below(4) {
        0 => Some(Stop::Kill { request, after_effect }),
        1 => Some(Stop::Freeze { request, after_effect }),
        _ => None,
    };
    Arc::new(FaultStore::new(watched.clone(), random.next(), faults, stop))
}

pub async fn simulate(seed: u64) -> BTreeMap<&'static str, u64> {
    let (environment, clock) = environment(seed ^ 0x5eed);
    let watched = Arc::new(Watched {
        memory: MemoryStore::new(),
        clock,
        heads: Mutex::default(),
        epochs: Mutex::default(),
        deleted: Mutex::default(),
    });
    // Every other tenant is encrypted.
    let class_keys = (seed % 2 == 1).then(class_keys);
    let tenant = TenantStore::new(watched.clone(), path(), owner(), environment.clone())
        .with_class_keys(class_keys.clone());
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    let run = Arc::new(Run {
        watched: watched.clone(),
        environment,
        keys: class_keys.zip(tenant.data_key().await.unwrap()),
        ledger: Arc::default(),
        acknowledged: Mutex::default(),
        random: Seeded::new(seed),
        disk: tempfile::tempdir().unwrap(),
        files: Mutex::default(),
        outcomes: Mutex::default(),
        known: KnownManifests::default(),
    });
    let mut stores: Vec<Arc<FaultStore>> = Vec::new();
    let mut alive = Vec::new();
    let mut births = ACTORS * LIVES;
    let mut turns = 0;
    while births > 0 || !alive.is_empty() {
        turns += 1;
        assert!(turns < MAX_TURNS, "no end in sight");
        let slots = u64::from(births > 0) * ACTORS;
        while (alive.len() as u64) < slots && births > 0 {
            births -= 1;
            let store = fault_store(&run, &watched);
            stores.push(store.clone());
            let (life, mine) = (run.clone(), store.clone());
            let number = births;
            let task = match run.random.below(6) {
                0 => tokio::spawn(async move { life.branch_off(mine, format!("b{number}")).await }),
                1 => tokio::spawn(async move { life.collect(mine).await }),
                _ => tokio::spawn(async move { life.own(mine, format!("p{number}")).await }),
            };
            alive.push((store, task, run.random.below(400)));
        }
        tokio::task::yield_now().await;
        let mut still = Vec::new();
        for (store, task, patience) in alive {
            if task.is_finished() {
                if let Err(failed) = task.await {
                    std::panic::resume_unwind(failed.into_panic());
                }
            } else if store.is_stopped() && patience == 0 {
                // A frozen process resumes, long after others took over; a killed one never does.
                if store.thaw() {
                    run.count("thawed");
                    still.push((store, task, 0));
                } else {
                    task.abort();
                    run.count("died");
                }
            } else {
                still.push((store, task, patience.saturating_sub(u64::from(patience > 0))));
            }
        }
        alive = still;
    }
    // What was still under way arrives now; then a healthy process opens the branch.
    for store in &stores {
        store.deliver_late().await;
    }
    let promised = run.acknowledged.lock().unwrap().clone();
    let branch = run.tenant(watched.clone()).branch(&BranchName::main());
    let holder = Holder { name: "last".into(), id: "last".into() };
    let owned = branch.take_over(&holder, Takeover::PreviousGone).await.unwrap();
    let file = run.file();
    match whole(&owned, &file).await.unwrap() {
        Hydrated::Restored { .. } => run.check_content(&file, &promised),
        Hydrated::Empty => assert!(promised.is_empty()),
    }
    // A manifest that arrives after it was collected would be taken for more of the past.
    let deleted = watched.deleted.lock().unwrap().clone();
    for late in deleted.iter().filter(|key| key.contains("/manifests/")) {
        watched.delete(late).await.unwrap();
    }
    // Whatever happened: nothing that can be opened lacks anything, and what else is there is known.
    let walked = run.walk(History::Whole).await;
    assert!(walked.is_clean(), "{walked:?}");
    while run.tenant(watched.clone()).collect(&everything(), &run.known, &|_| {}).await.unwrap().more {}
    let walked = run.walk(History::within(SignedDuration::ZERO, run.environment.clock.now())).await;
    assert!(walked.is_clean() && walked.ended.count == 0, "{walked:?}");
    std::mem::take(&mut *run.outcomes.lock().unwrap())
}
