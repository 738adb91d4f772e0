//! Runs a history, kills its process, and compares what opens with what was there.

use super::{History, Step, generate::Generator, observe::Observed, statements::Kind};
use crate::life::Life;
use roost_duckdb::{Connection, EngineError, ErrorKind};
use roost_engine::Engine;
use roost_protocol::durability::Durability;
use roost_store::{
    Adoption, BranchName, Creation, Environment, MemoryStore, Owner, PinKind, TenantPath, TenantStore,
    stream::Lsn,
};
use std::{collections::BTreeMap, fmt, ops::DerefMut, path::Path, sync::Arc, time::Duration};
use tenant_runtime::{
    limits::Sizing,
    private_copy,
    tenant::{EngineSetup, Folders},
};
use tokio::task::block_in_place;

/// Longest time until all is shipped that can be.
const SHIPPING: Duration = Duration::from_secs(60);

type Client = Box<dyn DerefMut<Target = Connection> + Send>;

/// What is not as it must be, and where it showed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was being done.
    pub stage: &'static str,
    /// What went wrong.
    pub what: String,
}

impl Failure {
    /// The kind of failure: two of a kind have the same cause, as far as can be told.
    pub fn class(&self) -> String {
        let first = self.what.lines().next().unwrap_or_default();
        let first = first.split("WAL file").last().unwrap_or_default();
        let letters = first.chars().filter(|letter| !letter.is_ascii_digit()).take(60);
        format!("{} {}", self.stage, letters.collect::<String>())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.what)
    }
}

fn failed<E: fmt::Display>(stage: &'static str) -> impl FnOnce(E) -> Failure {
    move |what| Failure { stage, what: what.to_string() }
}

/// A tenant whose process is alive.
pub struct World {
    tenant: TenantStore,
    disk: tempfile::TempDir,
    life: Life,
    clients: BTreeMap<u8, Client>,
    /// What was done so far.
    done: Vec<Step>,
    /// Each commit, with the number of steps done when it was there.
    commits: Vec<(Lsn, usize)>,
    /// The engine is dead.
    dead: bool,
}

impl World {
    /// A new tenant.
    pub async fn new(durability: Durability) -> Self {
        let owner = Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() };
        let path = TenantPath::new("", "shop", "acme").unwrap();
        let tenant = TenantStore::new(Arc::new(MemoryStore::new()), path, owner, Environment::system());
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        let disk = tempfile::tempdir().unwrap();
        let life = Life::open(&tenant, &disk.path().join("first"), durability).await.unwrap();
        // Its connections take no write gate: it publishes only where no transaction is open.
        life.leave_publishing_to_others();
        Self {
            tenant,
            disk,
            life,
            clients: BTreeMap::new(),
            done: Vec::new(),
            commits: Vec::new(),
            dead: false,
        }
    }

    /// The connection of this number.
    pub fn client(&mut self, number: u8) -> &mut Connection {
        let engine = &self.life.served.engine;
        self.clients.entry(number).or_insert_with(|| connect(engine).unwrap())
    }

    /// Takes a step. An error of a statement is part of a history.
    pub async fn take(&mut self, step: &Step) -> Result<Result<(), EngineError>, Failure> {
        self.done.push(step.clone());
        let outcome = match step {
            Step::Publish => {
                self.life.publish().await.map_err(failed("publish"))?;
                Ok(())
            }
            Step::Sql(number, sql) => block_in_place(|| self.client(*number).run(sql)),
        };
        if let Err(error) = &outcome {
            if std::env::var_os("ROOST_TELL").is_some() {
                println!("-- {step}\n--   {error}");
            }
            self.dead |= matches!(error.kind, ErrorKind::Fatal | ErrorKind::Internal);
        }
        let last = self.life.served.shipper.committed();
        if self.commits.last().is_none_or(|(commit, _)| last > *commit) {
            self.commits.push((last, self.done.len()));
        }
        Ok(outcome)
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.clients.values().any(|client| client.in_transaction())
    }

    /// Whether the last commit waits for a publish.
    pub async fn is_held(&self) -> Result<bool, Failure> {
        let shipper = &self.life.served.shipper;
        tokio::time::timeout(SHIPPING, shipper.caught_up()).await.map_err(failed("shipping"))?;
        Ok(self.life.served.branch.durable() < shipper.committed())
    }

    /// Kills the process and compares what opens next with what the last durable commit left.
    pub async fn kill(mut self) -> Result<(), Failure> {
        let t = std::time::Instant::now();
        macro_rules! lap { ($x:expr) => { if std::env::var_os("LAP").is_some() { eprintln!("{} {:?}", $x, t.elapsed()); } } }
        let held = self.is_held().await?;
        self.life.stop_shipping();
        let durable = self.life.served.branch.durable();
        self.clients.clear();
        let expected = if held || self.dead {
            let steps = self.commits.iter().rev().find(|(commit, _)| *commit <= durable);
            self.done.truncate(steps.map_or(0, |(_, steps)| *steps));
            undisturbed(&self.done).await?
        } else {
            observe("the state before", &self.life.served.engine)?
        };
        lap!("observed");
        self.read_as_a_worker(&expected).await?;
        lap!("worker");
        let next = Life::open(&self.tenant, &self.disk.path().join("next"), Durability::Synchronous).await;
        let next = next.map_err(failed("opening"))?;
        lap!("opened");
        same("opened", &expected, &next)?;
        lap!("compared");
        next.publish().await.map_err(failed("publish after opening"))?;
        next.crash();
        let last = Life::open(&self.tenant, &self.disk.path().join("last"), Durability::Synchronous).await;
        lap!("opened again");
        same("opened again", &expected, &last.map_err(failed("opening again"))?)
    }

    /// Opens what is durable as an export does.
    async fn read_as_a_worker(&self, expected: &Observed) -> Result<(), Failure> {
        const STAGE: &str = "opening as a worker";
        let main = BranchName::main();
        let pinned = self.tenant.pin(PinKind::Reader, "w", "u", &main, None).await.map_err(failed(STAGE))?;
        let readable = self.tenant.branch(&main).open_position(&pinned.position, &pinned.pin).await;
        let readable = readable.map_err(failed(STAGE))?;
        let engine = open_to_read(&readable, self.disk.path()).await;
        let engine = engine.map_err(failed(STAGE))?;
        compare("opened as a worker", expected, &observe(STAGE, &engine)?)
    }
}

/// As [`tenant_runtime::worker`] does.
async fn open_to_read(readable: &roost_store::ReadablePosition, disk: &Path) -> Result<Engine, String> {
    let setup = EngineSetup {
        database: "acme".into(),
        sizing: Sizing { memory_bytes: 1 << 30, threads: 2 },
        settings: BTreeMap::new(),
        spill_limit: 4 << 30,
        cache_limit: 4 << 30,
        max_sessions: 1,
    };
    let folders = Folders::make(&disk.join("worker")).map_err(|error| error.to_string())?;
    let opened = private_copy::open(readable, &setup, folders, None, Environment::system()).await;
    opened.map(|(engine, _)| engine).map_err(|problem| problem.to_string())
}

fn connect(engine: &Engine) -> Result<Client, EngineError> {
    Ok(Box::new(engine.connect_for_test()?))
}

fn observe(stage: &'static str, engine: &Engine) -> Result<Observed, Failure> {
    block_in_place(|| {
        let mut connection = connect(engine).map_err(failed(stage))?;
        Observed::read(&mut connection).map_err(failed(stage))
    })
}

fn compare(stage: &'static str, expected: &Observed, found: &Observed) -> Result<(), Failure> {
    expected.difference(found).map_or(Ok(()), |what| Err(Failure { stage, what }))
}

fn same(stage: &'static str, expected: &Observed, life: &Life) -> Result<(), Failure> {
    compare(stage, expected, &observe(stage, &life.served.engine)?)?;
    let accepted = block_in_place(|| {
        let mut connection = connect(&life.served.engine).map_err(failed(stage))?;
        Observed::duplicates(&mut connection).map_err(failed(stage))
    })?;
    if accepted.is_empty() { Ok(()) } else { Err(Failure { stage, what: accepted.join("\n") }) }
}

/// What these steps leave where nobody is killed.
async fn undisturbed(steps: &[Step]) -> Result<Observed, Failure> {
    let mut world = World::new(Durability::Asynchronous).await;
    for step in steps {
        let _ = world.take(step).await?;
    }
    world.clients.clear();
    observe("the same history", &world.life.served.engine)
}

/// Runs a history to its end.
pub async fn run(history: &History) -> Result<(), Failure> {
    let t = std::time::Instant::now();
    let mut world = World::new(Durability::Synchronous).await;
    if std::env::var_os("LAP").is_some() { eprintln!("new {:?}", t.elapsed()); }
    for step in &history.0 {
        // What does not succeed is part of it.
        let _ = world.take(step).await?;
    }
    if std::env::var_os("LAP").is_some() { eprintln!("steps {:?}", t.elapsed()); }
    world.kill().await
}

/// What became of a random history.
pub struct Ran {
    /// Its steps.
    pub history: History,
    /// How often each kind of statement succeeded, and how often it did not.
    pub kinds: BTreeMap<&'static str, (u32, u32)>,
    pub result: Result<(), Failure>,
}

/// Makes a history of a seed, and runs it.
pub async fn make(seed: u64, wanted: Option<&'static Kind>) -> Ran {
    let mut world = World::new(Durability::Synchronous).await;
    let mut generator = Generator::new(seed, wanted);
    let mut kinds = BTreeMap::new();
    let mut begun = Ok(());
    loop {
        let (kind, step) = match generator.next(&mut world).await {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(failure) => {
                begun = Err(failure);
                break;
            }
        };
        let counts: &mut (u32, u32) = kinds.entry(kind).or_default();
        match world.take(&step).await {
            Ok(Ok(())) => counts.0 += 1,
            Ok(Err(_)) => {
                counts.1 += 1;
                if let Step::Sql(number, _) = step {
                    generator.failed(number);
                }
                if world.dead {
                    break;
                }
            }
            Err(failure) => {
                begun = Err(failure);
                break;
            }
        }
    }
    let history = History(world.done.clone());
    let result = if begun.is_ok() { world.kill().await } else { begun };
    Ran { history, kinds, result }
}
