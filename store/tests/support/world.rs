//! A tenant whose past is made by hand, to be collected.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::whole_file::whole;
use super::{Ledger, ModelDatabase, Seeded, VirtualClock, owner, path};
use jiff::SignedDuration;
use roost_store::garbage::{Collected, MERGE_ABOVE, Policy};
use roost_store::object::fault::{FaultStore, Faults, Stop};
use roost_store::reachability::{self, Depth, History, KnownManifests, Report};
use roost_store::{
    Adoption, BranchName, Creation, Environment, Holder, MemoryStore, ObjectStore, OwnedBranch, ShipError,
    Takeover, TenantStore,
};
use tokio::task::JoinHandle;

pub const NOTHING_OF_THE_PAST: SignedDuration = SignedDuration::ZERO;

pub fn policy(recovery_window: SignedDuration) -> Policy {
    Policy {
        recovery_window,
        grace: Duration::from_secs(1),
        deletes_per_second: NonZeroU32::new(100).unwrap(),
        merge_above: MERGE_ABOVE,
        dry_run: false,
    }
}

pub struct World {
    pub memory: Arc<MemoryStore>,
    pub environment: Environment,
    pub ledger: Arc<Mutex<Ledger>>,
    pub disk: tempfile::TempDir,
    pub known: KnownManifests,
}

impl World {
    pub async fn new() -> Self {
        let environment = Environment {
            clock: Arc::new(VirtualClock::default()),
            randomness: Arc::new(Seeded::new(7)),
            compute: roost_store::Compute::Inline,
        };
        let (memory, ledger, disk) = (Arc::default(), Arc::default(), tempfile::tempdir().unwrap());
        let world = Self { memory, environment, ledger, disk, known: KnownManifests::default() };
        world.tenant().initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        world
    }

    pub fn tenant(&self) -> TenantStore {
        self.tenant_in(self.memory.clone())
    }

    pub fn tenant_in(&self, store: Arc<dyn ObjectStore>) -> TenantStore {
        TenantStore::new(store, path(), owner(), self.environment.clone())
    }

    pub async fn open(&self, branch: &str) -> (Arc<OwnedBranch>, ModelDatabase) {
        self.open_in(&self.tenant(), branch).await
    }

    pub async fn open_in(&self, tenant: &TenantStore, branch: &str) -> (Arc<OwnedBranch>, ModelDatabase) {
        let holder = Holder { name: "pod".into(), id: "pod".into() };
        let branch = tenant.branch(&BranchName::new(branch).unwrap());
        let owned = branch.take_over(&holder, Takeover::PreviousGone).await.unwrap();
        let file = self.disk.path().join(format!("{:?}", std::time::Instant::now()));
        whole(&owned, &file).await.unwrap();
        let file = file.exists().then_some(file);
        let number = owned.head().number();
        let database = ModelDatabase::open(self.ledger.clone(), file.as_deref(), number);
        (owned, database)
    }

    /// Opens a branch, ships a bulk load, publishes, changes `chunk`, and seals: two manifests with a stream between.
    pub async fn write(&self, branch: &str, chunk: u64) {
        self.write_in(&self.tenant(), branch, chunk).await;
    }

    /// The same in another tenant.
    pub async fn write_in(&self, tenant: &TenantStore, branch: &str, chunk: u64) {
        let (owned, database) = self.open_in(tenant, branch).await;
        database.commit(&[1, 2]);
        owned.publish(&database).await.unwrap();
        let free = database.free();
        database.commit_with(&[], &(free..free + 6).collect::<Vec<_>>());
        ship(&owned, &database).await.unwrap();
        database.commit(&[chunk]);
        owned.seal(&database).await.unwrap();
    }

    pub async fn walk(&self) -> Report {
        let now = self.environment.clock.now();
        self.walk_with(History::within(NOTHING_OF_THE_PAST, now)).await
    }

    /// With all of the past.
    pub async fn walk_back(&self) -> Report {
        self.walk_with(History::Whole).await
    }

    async fn walk_with(&self, history: History) -> Report {
        let environment = self.environment.clone();
        reachability::walk(self.memory.clone(), &path(), environment, history, Depth::Bytes(None))
            .await
            .unwrap()
    }

    pub async fn collect(&self, policy: &Policy) -> Collected {
        self.tenant().collect(policy, &self.known, &|_| {}).await.unwrap()
    }

    /// Begins something through a store that stops it there: that store, and what was begun, which has ended or stands.
    pub async fn begin<T: Send + 'static, W: Future<Output = T> + Send + 'static>(
        &self,
        stop: Stop,
        work: impl FnOnce(TenantStore) -> W,
    ) -> (Arc<FaultStore>, JoinHandle<T>) {
        let store = Arc::new(FaultStore::new(self.memory.clone(), 1, Faults::default(), Some(stop)));
        let begun = tokio::spawn(work(self.tenant_in(store.clone())));
        while !begun.is_finished() && !store.is_stopped() {
            tokio::task::yield_now().await;
        }
        (store, begun)
    }

    pub fn keys(&self) -> BTreeSet<String> {
        self.memory.contents().into_keys().collect()
    }

    pub fn count(&self, part: &str) -> usize {
        self.keys().iter().filter(|key| key.contains(part)).count()
    }
}

pub async fn ship(owned: &OwnedBranch, database: &ModelDatabase) -> Result<(), ShipError> {
    database.ship(u64::MAX, async |cut| owned.ship(&cut, database).await).await.unwrap().map(drop)
}
