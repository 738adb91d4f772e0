//! The protocol broken on purpose, one rule at a time: some check notices each. A rule that nobody would miss is no rule,
//! and a check that misses none tests nothing.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roost_store::garbage::Policy;
use roost_store::mutation::{self, Mutation};
use roost_store::object::fault::{FaultStore, Faults};
use roost_store::reachability::KnownManifests;
use roost_store::stream::{Replay, Tail};
use roost_store::{
    Adoption, BranchName, Creation, Holder, MemoryStore, ObjectStore, OwnedBranch, PublishError, ShipError,
    TakeOverError, Takeover, TenantStore,
};

use crate::support::whole_file::whole;
use crate::support::{Ledger, ModelDatabase, environment, owner, path};
use crate::world::simulate;

/// Schedules after which a mutation counts as unnoticed. Most are found among the first ten.
const ENOUGH: u64 = 400;

/// A check that panics if something is wrong.
type Check = fn(u64);

/// Where each broken rule is noticed: in the simulation, or where it has its own check.
fn check_for(mutation: Mutation) -> Check {
    match mutation {
        Mutation::NewPutIdOnRetry => an_owner_alone_is_never_told_of_another,
        Mutation::CollectSeals => a_zombie_is_fenced_after_collections,
        Mutation::TimeFromTheClock => times_never_go_back,
        _ => |seed| drop(block_on(simulate(seed))),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The first schedule that fails, and what it says.
fn noticed(mutation: Mutation) -> Option<(u64, String)> {
    let check = check_for(mutation);
    let _broken = mutation::begin(mutation);
    (0..ENOUGH).find_map(|seed| {
        let failed = catch_unwind(AssertUnwindSafe(|| check(seed))).err()?;
        let said = failed.downcast_ref::<String>().cloned();
        let said =
            said.or_else(|| failed.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        Some((seed, said.chars().take(160).collect()))
    })
}

#[test]
fn every_broken_rule_is_noticed() {
    let mut unnoticed = Vec::new();
    for mutation in Mutation::ALL {
        match noticed(mutation) {
            Some((seed, said)) => println!("{mutation:?}, schedule {seed}: {said}"),
            None => unnoticed.push(mutation),
        }
    }
    assert!(unnoticed.is_empty(), "nothing failed in {ENOUGH} schedules with {unnoticed:?}");
}

#[test]
fn the_same_checks_pass_when_nothing_is_broken() {
    for seed in 0..20 {
        an_owner_alone_is_never_told_of_another(seed);
        a_zombie_is_fenced_after_collections(seed);
        times_never_go_back(seed);
    }
}

fn tenant_in(store: Arc<dyn ObjectStore>, seed: u64) -> TenantStore {
    TenantStore::new(store, path(), owner(), environment(seed).0)
}

async fn open(tenant: &TenantStore, ledger: &Arc<Mutex<Ledger>>) -> (Arc<OwnedBranch>, ModelDatabase) {
    let holder = Holder { name: "pod".into(), id: "pod".into() };
    let main = tenant.branch(&BranchName::main());
    let owned = main.take_over(&holder, Takeover::PreviousGone).await.unwrap();
    let disk = tempfile::tempdir().unwrap();
    let file = disk.path().join("main");
    whole(&owned, &file).await.unwrap();
    let number = owned.head().number();
    let database = ModelDatabase::open(ledger.clone(), file.exists().then_some(&*file), number);
    (owned, database)
}

async fn ship(owned: &OwnedBranch, database: &ModelDatabase) -> Result<(), ShipError> {
    database.ship(u64::MAX, async |cut| owned.ship(&cut, database).await).await.unwrap().map(drop)
}

/// Answers are lost, delayed and doubled: whose write took effect is known all the same.
fn an_owner_alone_is_never_told_of_another(seed: u64) {
    block_on(async {
        let memory = Arc::new(MemoryStore::new());
        let healthy = tenant_in(memory.clone(), seed);
        healthy.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        let store = Arc::new(FaultStore::new(memory, seed, Faults::frequent(), None));
        let tenant = tenant_in(store, seed + 1);
        let holder = Holder { name: "pod".into(), id: "pod".into() };
        let owned = match tenant.branch(&BranchName::main()).take_over(&holder, Takeover::OnlySealed).await {
            Ok(owned) => owned,
            Err(error) => {
                assert!(
                    !matches!(error, TakeOverError::Lost { .. } | TakeOverError::NotSealed { .. }),
                    "{error}"
                );
                return;
            }
        };
        let database = ModelDatabase::open(Arc::default(), None, 0);
        database.commit(&[1]);
        if let Err(error) = owned.publish(&database).await {
            assert!(!matches!(error, PublishError::Fenced { .. }), "{error}");
            return;
        }
        for _ in 0..4 {
            database.commit(&[1]);
            ship(&owned, &database).await.unwrap();
        }
    });
}

/// The bucket refuses a frozen owner's segment, however much was collected meanwhile.
fn a_zombie_is_fenced_after_collections(seed: u64) {
    block_on(async {
        let (memory, ledger) = (Arc::new(MemoryStore::new()), Arc::default());
        let tenant = tenant_in(memory, seed);
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        let (zombie, database) = open(&tenant, &ledger).await;
        database.commit(&[1]);
        zombie.publish(&database).await.unwrap();
        let policy = Policy {
            recovery_window: SignedDuration::ZERO,
            grace: Duration::ZERO,
            deletes_per_second: NonZeroU32::MAX,
            merge_above: 1,
            dry_run: false,
        };
        let known = KnownManifests::default();
        for _ in 0..2 {
            let (next, later) = open(&tenant, &ledger).await;
            next.publish(&later).await.unwrap();
            later.commit(&[1]);
            next.seal(&later).await.unwrap();
            tenant.collect(&policy, &known, &|_| {}).await.unwrap();
        }
        database.commit(&[1]);
        let shipped = ship(&zombie, &database).await;
        assert!(matches!(shipped, Err(ShipError::Fenced { .. })), "a zombie's commit was acknowledged");
    });
}

/// A pod whose clock is behind that of the pod before it.
fn times_never_go_back(seed: u64) {
    let before = Timestamp::from_second(1_000 + seed.cast_signed()).unwrap();
    let mut tail = Tail::new(1, Some(before));
    tail.wal_written(0, 10).unwrap();
    tail.wal_synced(Timestamp::from_second(10).unwrap(), 0, Replay::Proven);
    assert!(tail.last_commit() > Some(before), "a commit is older than the one before it");
}
