//! Clients with transactions of every kind, what they were told, and the same transactions where nothing happens.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]

use crate::{
    life::Life,
    support::{DEADLINE, client, eventually},
    transactions::Client,
};
use roost_protocol::{durability::Durability, names::SESSION_HEADER};
use roost_store::{Adoption, Creation, Environment, MemoryStore, Owner, TenantPath, TenantStore};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const CLIENTS: u64 = 3;
/// Longest time of one request: a bucket that is away is not waited for longer.
const TIMEOUT: &str = "10s";

/// A served tenant, as clients reach it.
#[derive(Clone)]
pub struct Target {
    pub client: reqwest::Client,
    pub url: String,
    /// Session token by which the gateway vouches for the caller; none where there is no gateway.
    pub session: Option<String>,
}

impl Target {
    /// One that nobody guards.
    pub fn open(url: &str) -> Self {
        Self { client: client(), url: format!("{url}/query"), session: None }
    }

    /// Runs statements: Err with the answer if that is no success.
    async fn ask(&self, sql: &str) -> reqwest::Result<Result<Value, Value>> {
        let mut request = self.client.post(&self.url).json(&json!({"sql": sql, "timeout": TIMEOUT}));
        if let Some(session) = &self.session {
            request = request.header(SESSION_HEADER, session);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let body: Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        Ok(if status == 200 && body["complete"] == true { Ok(body) } else { Err(body) })
    }

    /// The only value of a query, a text.
    async fn text(&self, sql: &str) -> String {
        let answer = eventually(sql, async || self.ask(sql).await.unwrap().ok()).await;
        answer["rows"][0][0].as_str().unwrap().to_owned()
    }

    /// The number of a client's last transaction, however long that takes; none once nobody is there to say.
    async fn last(&self, of: Client) -> Option<u64> {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            match self.ask(&of.last()).await {
                Ok(Ok(answer)) => return answer["rows"][0][0].as_str().unwrap().parse().ok(),
                Err(error) if error.is_connect() => return None,
                Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("{of:?} was not told in time what became of a transaction");
    }
}

/// Numbers of a client's last transactions that were acknowledged and attempted, and the refusals it got.
#[derive(Default)]
struct Told {
    acknowledged: AtomicU64,
    attempted: AtomicU64,
    refusals: Mutex<Vec<Value>>,
}

impl Told {
    /// So many transactions are there.
    fn settle(&self, of: Client, last: u64) {
        let (acknowledged, attempted) = (self.acknowledged.load(SeqCst), self.attempted.load(SeqCst));
        assert!(
            (acknowledged..=attempted).contains(&last),
            "{of:?}: {last} transactions are there, {acknowledged} were acknowledged, {attempted} tried"
        );
        self.acknowledged.store(last, SeqCst);
        self.attempted.store(last, SeqCst);
    }
}

/// Clients that write to a target.
pub struct Writing {
    clients: Vec<(JoinHandle<()>, Arc<Told>)>,
    stop: CancellationToken,
}

impl Writing {
    /// Waits for so many more acknowledged transactions.
    pub async fn advances(&self, by: u64) {
        let sum = || self.acknowledged().iter().sum::<u64>();
        let enough = sum() + by;
        eventually("transactions are acknowledged", async || (sum() >= enough).then_some(())).await;
    }

    /// Waits until a client is refused once more, or there is nobody left to refuse it.
    pub async fn is_refused(&self) {
        let before = self.refusals().len();
        let gone = || self.clients.iter().all(|(client, _)| client.is_finished());
        let more = async || (self.refusals().len() > before || gone()).then_some(());
        eventually("a transaction is refused", more).await;
    }

    /// Lets clients end what they have begun, or notice that their process is gone.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        for (client, _) in &mut self.clients {
            client.await.unwrap();
        }
    }

    /// The last acknowledged transaction of each client.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.clients.iter().map(|(_, told)| told.acknowledged.load(SeqCst)).collect()
    }

    /// Answers that were no success.
    pub fn refusals(&self) -> Vec<Value> {
        self.clients.iter().flat_map(|(_, told)| told.refusals.lock().unwrap().clone()).collect()
    }
}

/// Runs a client's transactions until told to stop, or until there is nobody to run them.
async fn run(target: Target, of: Client, told: Arc<Told>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let n = told.attempted.fetch_add(1, SeqCst) + 1;
        match target.ask(&of.transaction(n)).await {
            Ok(Ok(_)) => {
                told.acknowledged.store(n, SeqCst);
                continue;
            }
            Ok(Err(refusal)) => told.refusals.lock().unwrap().push(refusal),
            Err(_) => {}
        }
        match target.last(of).await {
            Some(last) => told.settle(of, last),
            None => return,
        }
    }
}

/// Clients, what they were told, and a reference that has what must be there.
pub struct Ledger {
    clients: Vec<(Client, Arc<Told>)>,
    /// Number of each client's transactions that the reference has.
    replayed: Vec<u64>,
    reference: Life,
    _disk: tempfile::TempDir,
}

impl Ledger {
    /// Nothing was written yet.
    pub async fn new(seed: u64) -> Self {
        let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
        let path = TenantPath::new("", "shop", "acme").unwrap();
        let tenant = TenantStore::new(Arc::new(MemoryStore::new()), path, owner, Environment::system());
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        let disk = tempfile::tempdir().unwrap();
        let cache = disk.path().join("cache");
        let reference = Life::open(&tenant, &cache, Durability::Asynchronous).await.unwrap();
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| (Client { number, seed }, Arc::<Told>::default())).collect();
        for (client, _) in &clients {
            reference.run(&client.setup()).await.unwrap();
        }
        Self { replayed: vec![0; clients.len()], clients, reference, _disk: disk }
    }

    /// Makes what the clients write to.
    pub async fn set_up(&self, target: &Target) {
        for (client, _) in &self.clients {
            target.ask(&client.setup()).await.unwrap().unwrap();
        }
    }

    /// Lets the clients write.
    pub fn write(&mut self, target: &Target) -> Writing {
        let stop = CancellationToken::new();
        let clients = self.clients.iter_mut().map(|(client, told)| {
            let so_far = told.acknowledged.load(SeqCst);
            // Who still writes to another target is told apart.
            *told =
                Arc::new(Told { acknowledged: so_far.into(), attempted: so_far.into(), ..Told::default() });
            (tokio::spawn(run(target.clone(), *client, told.clone(), stop.clone())), told.clone())
        });
        Writing { clients: clients.collect(), stop: stop.clone() }
    }

    /// Checks that a target holds, for each client, all of its transactions up to one at or after the last that was
    /// acknowledged, and nothing else; they go on from there. The numbers of those.
    pub async fn check(&mut self, target: &Target) -> Vec<u64> {
        let mut found = Vec::new();
        for (index, (client, told)) in self.clients.clone().into_iter().enumerate() {
            let last: u64 = target.text(&client.last()).await.parse().unwrap();
            told.settle(client, last);
            let (tables, content) = self.expected(index, last).await;
            assert_eq!(target.text(&client.tables()).await, tables, "{client:?} after {last}");
            assert_eq!(
                target.text(&client.content(&tables)).await,
                content,
                "{client:?} after {last}: {tables}"
            );
            found.push(last);
        }
        found
    }

    /// Tables of a client and what they hold after so many of its transactions.
    async fn expected(&mut self, index: usize, transactions: u64) -> (String, String) {
        let client = self.clients[index].0;
        for n in self.replayed[index] + 1..=transactions {
            self.reference.run(&client.transaction(n)).await.unwrap();
        }
        self.replayed[index] = transactions;
        let tables = self.reference.text(&client.tables()).await.unwrap();
        let content = self.reference.text(&client.content(&tables)).await.unwrap();
        (tables, content)
    }
}
