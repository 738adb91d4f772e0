//! Rules of the engine's boundary: each is broken on purpose, and what it protects is then lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

use arrow_array::{RecordBatch, cast::AsArray as _, types::Int64Type};
use roost_engine::{
    QueryRequest, Role,
    mutation::{self, Mutation},
};
use roost_protocol::durability::{Durability, PutBudget, Terms};
use roost_store::{
    Adoption, BranchName, Creation, Environment, Holder, MemoryStore, Owner, Takeover, TenantPath,
    TenantStore,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tenant_runtime::{
    lifecycle::Lifecycle,
    limits::Sizing,
    metrics::Metrics,
    publisher::Patience,
    shipper::Pace,
    tenant::{self, EngineSetup, Opening, Served},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest time that anything here may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// Mutations are of the whole process.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A tenant's bucket, and the processes that serve it one after the other.
struct World {
    tenant: TenantStore,
    disk: tempfile::TempDir,
    lives: u32,
}

/// One process's worth of serving, without HTTP.
struct Life {
    served: Arc<Served>,
    shipping: JoinHandle<()>,
    /// Nothing is shipped any more.
    ended: CancellationToken,
}

impl World {
    async fn new() -> Self {
        let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
        let path = TenantPath::new("", "shop", "acme").unwrap();
        let tenant = TenantStore::new(Arc::new(MemoryStore::new()), path, owner, Environment::system());
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        Self { tenant, disk: tempfile::tempdir().unwrap(), lives: 0 }
    }

    fn cache(&mut self) -> PathBuf {
        self.lives += 1;
        self.disk.path().join(self.lives.to_string())
    }

    /// Takes the tenant over, whatever became of the process before.
    async fn open(&mut self) -> Result<Life, String> {
        let cache = self.cache();
        let holder = Holder { name: "pod".into(), id: self.lives.to_string() };
        let terms = Terms { floor: Durability::Synchronous, default: Durability::Synchronous };
        let never = Duration::from_hours(1);
        let opening = Opening {
            store: self.tenant.branch(&BranchName::main()),
            holder,
            takeover: Takeover::PreviousGone,
            init_script: None,
            engine: EngineSetup {
                database: "acme".into(),
                sizing: Sizing { memory_bytes: 512 << 20, threads: 2 },
                settings: BTreeMap::new(),
                spill_limit: 1 << 30,
                cache_limit: 1 << 30,
                max_sessions: 8,
            },
            cache,
            patience: Patience { interval: never, writes_refused_after: never },
            pace: Pace::new(terms, PutBudget::default()),
            metrics: Metrics::default(),
            environment: Environment::system(),
        };
        let served =
            tenant::open(opening, &Lifecycle::default()).await.map_err(|problem| problem.to_string())?;
        let served = Arc::new(served);
        let ended = CancellationToken::new();
        let shipping = tokio::spawn({
            let (served, ended) = (Arc::clone(&served), ended.clone());
            async move {
                served.shipper.run(&*served.database).await;
                ended.cancel();
            }
        });
        Ok(Life { served, shipping, ended })
    }
}

impl Life {
    /// Runs statements; Ok: they are acknowledged.
    async fn run(&self, sql: &str) -> Result<Vec<RecordBatch>, String> {
        let (id, parameters, role) = (Uuid::new_v4(), Vec::new(), Role::ReadWrite);
        let request = QueryRequest { id, sql: sql.into(), parameters, role, timeout: DEADLINE };
        let mut stream = self.served.engine.start(request).await.map_err(|error| error.to_string())?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            batches.push(batch.map_err(|error| error.to_string())?);
        }
        let committed = self.served.shipper.committed();
        tokio::select! {
            () = self.served.shipper.until_durable(committed) => Ok(batches),
            // It will never be.
            () = self.ended.cancelled() => Err("the branch is not ours any more".into()),
        }
    }

    /// Runs a statement whose result is one number.
    async fn count(&self, sql: &str) -> Result<i64, String> {
        let batches = self.run(sql).await?;
        Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
    }

    /// The process is gone, with all that is not in the bucket.
    fn crash(self) {
        self.shipping.abort();
    }
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
        life.served.publisher.publish("a test").await.map_err(|error| error.to_string())?;
        match life.served.engine.activity().open_transactions {
            0 => Ok(()),
            _ => Err("a checkpoint beside a transaction that has written".to_owned()),
        }
    };
    let (written, outcome) = tokio::join!(writer, publisher);
    outcome?;
    life.crash();
    let life = world.open().await?;
    let rows = life.count("SELECT count(*) FROM t WHERE h = hash(i)").await?;
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
    let deadline = life.served.environment.clock.monotonic() + DEADLINE;
    let (acknowledged, sealed) = tokio::join!(writer, life.served.publisher.seal(deadline));
    sealed.map_err(|error| error.to_string())?;
    life.crash();
    let rows = world.open().await?.count("SELECT count(*) FROM t").await?;
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
    match world.open().await?.count("SELECT count(*) FROM t").await? {
        5 => Ok(()),
        rows => Err(format!("{rows} of 5 acknowledged rows")),
    }
}

/// What shows that the rule is broken.
async fn scenario(mutation: Mutation) -> Result<(), String> {
    match mutation {
        Mutation::GatePerStatement | Mutation::PublishWithoutTheGate => {
            a_publish_beside_a_transaction().await
        }
        Mutation::OpenTheGateBeforeSealing => writes_beside_a_seal().await,
        Mutation::TheWalIsMissing => a_crash_with_wal().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_rule_is_noticed() {
    let _turn = TURN.lock().await;
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
