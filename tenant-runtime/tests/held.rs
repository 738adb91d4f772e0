//! A commit that waits for a publish, and whoever keeps that publish from happening.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/life.rs"]
mod life;

use async_trait::async_trait;
use jiff::Timestamp;
use life::Life;
use roost_engine::RowStream;
use roost_protocol::{durability::Durability, problem::Advice, status::RuntimeState};
use roost_store::{Adoption, Clock, Creation, Environment, MemoryStore, Owner, TenantPath, TenantStore};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tenant_runtime::{
    lifecycle::Lifecycle,
    problems,
    serving::{Eviction, serve},
};
use tokio_util::sync::CancellationToken;

/// Factor by which the publisher's clock runs faster than others.
const FASTER: u32 = 20;
/// Time for which a reader of an older state may go on beside a held commit, by that clock.
const READER_PATIENCE: Duration = Duration::from_secs(10);
/// Time for which no checkpoint may be possible while a commit is held, by that clock.
const HELD_PATIENCE: Duration = Duration::from_mins(1);
/// Longest real time until a held commit is kept: shorter than that after which a reader is interrupted for whom none
/// waits.
const SOONER: Duration = Duration::from_secs(40);

/// A clock that runs faster, but for the time of day.
struct FastClock(Instant);

#[async_trait]
impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed() * FASTER
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / FASTER).await;
    }
}

async fn tenant() -> TenantStore {
    let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
    let path = TenantPath::new("", "shop", "acme").unwrap();
    let tenant = TenantStore::new(Arc::new(MemoryStore::new()), path, owner, Environment::system());
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    tenant
}

async fn open(tenant: &TenantStore, cache: &std::path::Path) -> Life {
    let clock = Arc::new(FastClock(Instant::now()));
    let environment = Environment { clock, ..Environment::system() };
    Life::open_in(tenant, cache, Durability::Synchronous, environment).await.unwrap()
}

/// A query whose rows nobody reads on, over what the table is now.
async fn paused_reader(life: &Life) -> RowStream {
    let sql = "SELECT i, repeat('x', 200) FROM t, range(40000000)";
    let mut stream = life::start(&life.served.engine, sql, Duration::from_mins(10)).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_reader_is_told_to_try_again() {
    let (tenant, disk) = (tenant().await, tempfile::tempdir().unwrap());
    let life = open(&tenant, &disk.path().join("1")).await;
    life.run("CREATE TABLE t (i INTEGER)").await.unwrap();
    life.run("INSERT INTO t VALUES (1)").await.unwrap();
    let _publishing = life.publish_as_served();
    let mut reader = paused_reader(&life).await;
    let clock = Arc::clone(&life.served.environment.clock);
    let since = clock.monotonic();
    let altered = life.run("ALTER TABLE t ADD COLUMN j INTEGER DEFAULT 7");
    tokio::time::timeout(SOONER, altered).await.expect("it is not kept for long").unwrap();
    assert!(clock.monotonic() >= since + READER_PATIENCE, "the reader had no time to end by itself");
    let ended = loop {
        match reader.next().await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    let error = ended.unwrap().unwrap_err();
    assert_eq!(error.sqlstate, "72000");
    assert_eq!(problems::of_query(&error).advice(), Advice::Retry);
    life.crash();
    let life = open(&tenant, &disk.path().join("2")).await;
    assert_eq!(life.text("SELECT string_agg(i || '-' || j, ',') FROM t").await.unwrap(), "1-7");
}

/// A reader that nobody can interrupt: not one of the engine's requests.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_publish_can_keep_is_given_up() {
    let (tenant, disk) = (tenant().await, tempfile::tempdir().unwrap());
    let life = open(&tenant, &disk.path().join("1")).await;
    life.leave_publishing_to_others();
    life.run("CREATE TABLE t (i INTEGER)").await.unwrap();
    life.run("INSERT INTO t VALUES (1)").await.unwrap();
    // From here on it is served as a pod serves it.
    life.stop_shipping();
    let mut reader = life.served.engine.connect_for_test().unwrap();
    tokio::task::block_in_place(|| reader.run("BEGIN; FROM t")).unwrap();
    let clock = Arc::clone(&life.served.environment.clock);
    let since = clock.monotonic();
    let (lifecycle, stop) = (Lifecycle::default(), CancellationToken::new());
    let eviction = Eviction { idle_timeout: None, drain_timeout: Duration::from_mins(1) };
    let ending = tokio::select! {
        answered = life.run("ALTER TABLE t ADD COLUMN j INTEGER DEFAULT 7") => {
            panic!("it is acknowledged: {answered:?}")
        }
        ending = serve(&life.served, &lifecycle, eviction, &stop) => ending,
    };
    assert_eq!(ending.state, RuntimeState::Failed);
    let problem = ending.problem.unwrap();
    assert!(problem.detail.contains("given up"), "{problem:?}");
    assert!(clock.monotonic() >= since + HELD_PATIENCE, "others had no time to end by themselves");
    drop(reader);
    life.crash();
    let life = open(&tenant, &disk.path().join("2")).await;
    assert_eq!(life.text("SELECT string_agg(COLUMNS(*)::VARCHAR, ',') FROM t").await.unwrap(), "1");
    life.run("INSERT INTO t VALUES (2)").await.unwrap();
}
