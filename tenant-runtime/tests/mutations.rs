//! Rules of the engine's boundary: each is broken on purpose, and what it protects is then lost.
//!
//! One test: a rule is broken for the whole process.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/life.rs"]
mod life;

use arrow_array::{cast::AsArray as _, types::Int64Type};
use life::Life;
use roost_engine::mutation::{self, Mutation};
use roost_protocol::durability::Durability;
use roost_store::{Adoption, Creation, Environment, MemoryStore, Owner, TenantPath, TenantStore};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Longest time that anything here may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// A tenant's bucket, and the processes that serve it one after the other.
struct World {
    tenant: TenantStore,
    disk: tempfile::TempDir,
    lives: u32,
}

impl World {
    async fn new() -> Self {
        let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
        let path = TenantPath::new("", "shop", "acme").unwrap();
        let tenant = TenantStore::new(Arc::new(MemoryStore::new()), path, owner, Environment::system());
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        Self { tenant, disk: tempfile::tempdir().unwrap(), lives: 0 }
    }

    /// Takes the tenant over, whatever became of the process before.
    async fn open(&mut self) -> Result<Life, String> {
        self.lives += 1;
        let cache = self.disk.path().join(self.lives.to_string());
        Life::open(&self.tenant, &cache, Durability::Synchronous).await
    }
}

/// Runs a statement whose result is one number.
async fn count(life: &Life, sql: &str) -> Result<i64, String> {
    let batches = life.run(sql).await?;
    Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Tries at what a broken rule only makes possible.
const ATTEMPTS: u32 = 10;
/// More than DuckDB keeps in memory until the commit.
const ROWS: &str = "SELECT r AS i, hash(r) AS h FROM range(3000000) r(r)";
const ROW_COUNT: i64 = 3_000_000;

/// Somebody publishes while a transaction that has written blocks is still open.
async fn a_publish_beside_a_transaction() -> Result<(), String> {
    let mut world = World::new().await;
    let life = world.open().await?;
    life.run("CREATE TABLE t (i BIGINT, h UBIGINT)").await?;
    let small = life.served.database.size();
    let wait = "SELECT count(*) FROM range(150000) a, range(2000) b WHERE a.range + b.range = 7";
    let transaction = format!("BEGIN; INSERT INTO t {ROWS}; {wait}; COMMIT");
    let writer = async { life.run(&transaction).await };
    let publisher = async {
        let written = || life.served.database.size() > small + (1 << 21);
        eventually("blocks of the transaction are written", written).await;
        life.publish().await?;
        match life.served.engine.activity().open_transactions {
            0 => Ok(()),
            _ => Err("a checkpoint beside a transaction that has written".to_owned()),
        }
    };
    let (written, outcome) = tokio::join!(writer, publisher);
    outcome?;
    life.crash();
    let life = world.open().await?;
    let rows = count(&life, "SELECT count(*) FROM t WHERE h = hash(i)").await?;
    match written {
        Ok(_) if rows != ROW_COUNT => Err(format!("{rows} of {ROW_COUNT} acknowledged rows")),
        _ => Ok(()),
    }
}

/// Somebody writes while the branch is sealed.
async fn writes_beside_a_seal() -> Result<(), String> {
    let mut world = World::new().await;
    let life = world.open().await?;
    life.run(&format!("CREATE TABLE big AS {ROWS}; CREATE TABLE t (i BIGINT)")).await?;
    let writer = async {
        let mut acknowledged = 0;
        while life.run("INSERT INTO t VALUES (1)").await.is_ok() {
            acknowledged += 1;
        }
        acknowledged
    };
    let (acknowledged, sealed) = tokio::join!(writer, life.seal());
    sealed?;
    life.crash();
    let rows = count(&world.open().await?, "SELECT count(*) FROM t").await?;
    // One may have been committed whose acknowledgement nobody heard.
    if rows < acknowledged { Err(format!("{rows} of {acknowledged} acknowledged rows")) } else { Ok(()) }
}

/// A process dies with commits in the WAL that no manifest holds.
async fn a_crash_with_wal() -> Result<(), String> {
    let mut world = World::new().await;
    let life = world.open().await?;
    life.run("CREATE TABLE t (i BIGINT)").await?;
    for _ in 0..5 {
        life.run("INSERT INTO t VALUES (1)").await?;
    }
    life.crash();
    match count(&world.open().await?, "SELECT count(*) FROM t").await? {
        5 => Ok(()),
        rows => Err(format!("{rows} of 5 acknowledged rows")),
    }
}

/// A process dies with a commit that DuckDB cannot replay.
async fn a_crash_after_what_cannot_be_replayed() -> Result<(), String> {
    let mut world = World::new().await;
    let life = world.open().await?;
    life.run("CREATE TABLE t (i BIGINT); INSERT INTO t VALUES (1)").await?;
    life.run("BEGIN; UPDATE t SET i = 2; ALTER TABLE t RENAME TO u; DROP TABLE u; COMMIT").await?;
    life.crash();
    world.open().await.map(drop)
}

/// Runs what shows whether the rule is broken: `Err` if it is.
async fn scenario(mutation: Mutation) -> Result<(), String> {
    match mutation {
        Mutation::GatePerStatement | Mutation::PublishWithoutTheGate => {
            a_publish_beside_a_transaction().await
        }
        Mutation::OpenTheGateBeforeSealing => writes_beside_a_seal().await,
        Mutation::TheWalIsMissing => a_crash_with_wal().await,
        Mutation::ShipWhatIsNotProven => a_crash_after_what_cannot_be_replayed().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_rule_is_noticed() {
    for mutation in Mutation::ALL {
        scenario(mutation).await.unwrap();
        let _broken = mutation::begin(mutation);
        let mut noticed = None;
        for _ in 0..ATTEMPTS {
            noticed = scenario(mutation).await.err();
            if noticed.is_some() {
                break;
            }
        }
        println!("{mutation:?}: {}", noticed.unwrap_or_else(|| panic!("{mutation:?} was not noticed")));
    }
}
