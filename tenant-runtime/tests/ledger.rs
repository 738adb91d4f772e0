//! Clients with transactions of every kind while their process is killed again and again: what opens next is, for each
//! of them, the state after some transaction of its own at or after the last one that was acknowledged, and whole.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

#[path = "support/life.rs"]
mod life;
#[path = "support/transactions.rs"]
mod transactions;

use life::Life;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use roost_protocol::durability::Durability;
use roost_store::{
    Adoption, Creation, DirectoryStore, Environment, MemoryStore, Owner, TenantPath, TenantStore,
    reachability::{Depth, History, walk},
};
use serde_json::json;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use support::{Process, client, eventually};
use transactions::Client;

const CLIENTS: u64 = 3;
const DEATHS: u64 = 4;

/// What a client was told.
#[derive(Default)]
struct Told {
    acknowledged: AtomicU64,
    attempted: AtomicU64,
}

/// The same transactions in a database that nothing happens to.
struct Reference {
    life: Life,
    replayed: Vec<u64>,
    _disk: tempfile::TempDir,
}

impl Reference {
    async fn open(clients: &[Client]) -> Self {
        let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
        let path = TenantPath::new("", "shop", "acme").unwrap();
        let tenant = TenantStore::new(Arc::new(MemoryStore::new()), path, owner, Environment::system());
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        let disk = tempfile::tempdir().unwrap();
        let life = Life::open(&tenant, &disk.path().join("cache"), Durability::Asynchronous).await.unwrap();
        for client in clients {
            life.run(&client.setup()).await.unwrap();
        }
        Self { life, replayed: vec![0; clients.len()], _disk: disk }
    }

    /// Tables of a client and what they hold after so many of its transactions.
    async fn state(&mut self, client: Client, transactions: u64) -> (String, String) {
        let replayed = &mut self.replayed[usize::try_from(client.number).unwrap()];
        for n in *replayed + 1..=transactions {
            self.life.run(&client.transaction(n)).await.unwrap();
        }
        *replayed = transactions;
        let tables = self.life.text(&client.tables()).await.unwrap();
        let content = self.life.text(&client.content(&tables)).await.unwrap();
        (tables, content)
    }
}

async fn text(process: &Process, sql: &str) -> String {
    process.query(sql).await[0][0].as_str().unwrap().to_owned()
}

/// Runs a client's transactions until one is not answered with success.
async fn run(url: String, of: Client, told: Arc<Told>) {
    loop {
        let n = told.attempted.fetch_add(1, SeqCst) + 1;
        let request = client().post(&url).json(&json!({"sql": of.transaction(n)}));
        let Ok(answer) = request.send().await else { return };
        let status = answer.status();
        let Ok(body) = answer.text().await else { return };
        if status != 200 || !body.contains("\"complete\":true") {
            assert!(status != 400, "transaction {n} of {of:?} is wrong: {body}");
            return;
        }
        told.acknowledged.store(n, SeqCst);
    }
}

async fn compare(process: &Process, reference: &mut Reference, clients: &[Client], told: &[Arc<Told>]) {
    for (client, told) in clients.iter().zip(told) {
        let last: u64 = text(process, &client.last()).await.parse().unwrap();
        let (acknowledged, attempted) = (told.acknowledged.load(SeqCst), told.attempted.load(SeqCst));
        assert!(
            (acknowledged..=attempted).contains(&last),
            "{client:?}: {last} transactions are there, {acknowledged} were acknowledged, {attempted} tried"
        );
        let (tables, content) = reference.state(*client, last).await;
        assert_eq!(text(process, &client.tables()).await, tables, "{client:?} after {last}");
        assert_eq!(
            text(process, &client.content(&tables)).await,
            content,
            "{client:?} after {last}: {tables}"
        );
        // It goes on after the last one that is there.
        told.acknowledged.store(last, SeqCst);
        told.attempted.store(last, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_transaction_survives_being_killed() {
    let seed = std::env::var("ROOST_SEED").ok().map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("ROOST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let clients: Vec<_> = (0..CLIENTS).map(|number| Client { number, seed }).collect();
    let told: Vec<_> = clients.iter().map(|_| Arc::<Told>::default()).collect();
    let mut reference = Reference::open(&clients).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    for client in &clients {
        process.query(&client.setup()).await;
    }
    process.kill();
    for _ in 0..DEATHS {
        // Publishes come in between.
        let process = Process::start(folder.path(), &["--publish-interval", "100ms"]);
        compare(&process, &mut reference, &clients, &told).await;
        let running: Vec<_> = clients
            .iter()
            .zip(&told)
            .map(|(client, told)| {
                tokio::spawn(run(format!("{}/query", process.url()), *client, told.clone()))
            })
            .collect();
        let sum = || told.iter().map(|told| told.acknowledged.load(SeqCst)).sum::<u64>();
        let enough = sum() + random.random_range(5..60);
        eventually("transactions are acknowledged", async || (sum() >= enough).then_some(())).await;
        process.kill();
        for client in running {
            client.await.unwrap();
        }
    }
    let process = Process::start(folder.path(), &[]);
    compare(&process, &mut reference, &clients, &told).await;
    process.stop();
    verify(folder.path()).await;
}

async fn verify(folder: &Path) {
    let store = Arc::new(DirectoryStore::open(folder.join("bucket")).unwrap());
    let path = TenantPath::new("", "default", "demo").unwrap();
    let report = walk(store, &path, Environment::system(), History::Whole, Depth::Bytes(None)).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
}
