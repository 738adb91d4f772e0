//! A tenant to which a history happens: its process is killed, and what opens is compared with what was there.

use super::{
    Step,
    observe::Observed,
    sequences::{Bounds, Taken, out_of_bounds},
};
use crate::life::Life;
use bytes::Bytes;
use roost_duckdb::{Connection, EngineError, ErrorKind};
use roost_engine::Engine;
use roost_protocol::durability::Durability;
use roost_store::{
    Adoption, BranchName, Creation, Environment, LocalDatabase as _, MemoryStore, Owner, PinKind, TenantPath,
    TenantStore, stream::Lsn,
};
use std::{
    collections::BTreeMap,
    fmt,
    ops::{DerefMut, Range},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tenant_runtime::{
    limits::Sizing,
    serving::opening::{EngineSetup, Folders},
    workers::private_copy,
};
use tokio::task::block_in_place;

/// Longest time until all is shipped that can be.
const SHIPPING: Duration = Duration::from_mins(1);

type Client = Box<dyn DerefMut<Target = Connection> + Send>;

/// Something that is not as it must be, and where it showed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Stage at which it showed.
    pub stage: &'static str,
    /// Text of what is wrong.
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
    /// Steps taken so far.
    done: Vec<Step>,
    /// Each commit, with the number of steps done when it was there.
    commits: Vec<(Lsn, usize)>,
    /// Steps done when everything was published.
    published: usize,
    /// Values of sequences.
    taken: Taken,
    /// The engine is dead.
    dead: bool,
    /// A worker exports what it opened. It cannot export every catalog that it opens, as one with a view over a macro
    /// that is gone.
    pub exports: bool,
}

/// State that a history left.
struct State {
    observed: Observed,
    sequences: Vec<Bounds>,
}

/// Part of a history that was replayed after a kill: steps, by their numbers, and bytes of the log.
pub struct Replayed {
    pub steps: Range<usize>,
    pub log: Vec<u8>,
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
            published: 0,
            taken: Taken::default(),
            dead: false,
            exports: false,
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
                self.published = self.done.len();
                Ok(())
            }
            Step::Shipped if self.is_held().await? => {
                return Err(Failure {
                    stage: "shipping",
                    what: "the last commit waits for a publish".into(),
                });
            }
            Step::Shipped => Ok(()),
            Step::Sql(number, sql) => block_in_place(|| self.client(*number).run(sql)),
        };
        if let Err(error) = &outcome {
            // For histories that are written by hand.
            if std::env::var_os(super::TELL).is_some() {
                println!("-- {step}\n--   {error}");
            }
            self.dead |= matches!(error.kind, ErrorKind::Fatal | ErrorKind::Internal);
        }
        if let (Step::Sql(number, sql), false) = (step, self.dead) {
            let rolled_back = outcome.is_err() || sql == "ROLLBACK";
            let client = self.clients.get_mut(number).expect("it has run the statement");
            block_in_place(|| {
                if rolled_back {
                    // Its own transaction may take no statement any more.
                    self.taken.forget(*number, &mut connect(&self.life.served.engine).unwrap());
                } else {
                    self.taken.note(*number, client);
                }
            });
        }
        let last = self.life.served.shipper.committed();
        if self.commits.last().is_none_or(|(commit, _)| last > *commit) {
            self.commits.push((last, self.done.len()));
        }
        Ok(outcome)
    }

    /// Whether the engine is dead.
    pub fn is_dead(&self) -> bool {
        self.dead
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
    pub async fn kill(mut self, replayed: &mut Option<Replayed>) -> Result<(), Failure> {
        let held = self.is_held().await?;
        self.life.stop_shipping();
        let durable = self.life.served.branch.durable();
        let last = self.commits.iter().rev().find(|(commit, _)| *commit <= durable);
        // A publish writes down what sequences handed out, also to transactions that were rolled back since the last commit.
        let steps = last.map_or(0, |(_, steps)| *steps).max(self.published);
        let log = match durable.offset {
            0 => Bytes::new(),
            end => self.life.served.database.read_wal(0..end).await.map_err(failed("reading the log"))?,
        };
        *replayed = Some(Replayed { steps: self.published..steps, log: log.to_vec() });
        let expected =
            if held || self.dead { undisturbed(&self.done[..steps]).await? } else { self.state()? };
        self.read_as_a_worker(&expected).await?;
        let next = Life::open(&self.tenant, &self.disk.path().join("next"), Durability::Synchronous).await;
        let next = next.map_err(failed("opening"))?;
        expected.is("opened", &next.served.engine)?;
        expected.is_kept("opened", &next.served.engine, 1)?;
        next.publish().await.map_err(failed("publish after opening"))?;
        next.crash();
        let last = Life::open(&self.tenant, &self.disk.path().join("last"), Durability::Synchronous).await;
        let last = last.map_err(failed("opening again"))?;
        expected.is("opened again", &last.served.engine)?;
        expected.is_kept("opened again", &last.served.engine, 2)
    }

    /// The committed state; transactions that are open are rolled back.
    fn state(&mut self) -> Result<State, Failure> {
        const STAGE: &str = "reading the state before";
        self.clients.clear();
        block_in_place(|| {
            let mut connection = connect(&self.life.served.engine).map_err(failed(STAGE))?;
            let sequences = self.taken.bounds(&mut connection).map_err(failed(STAGE))?;
            Ok(State { observed: Observed::read(&mut connection).map_err(failed(STAGE))?, sequences })
        })
    }

    /// Opens what is durable as a Parquet snapshot does.
    async fn read_as_a_worker(&self, expected: &State) -> Result<(), Failure> {
        const STAGE: &str = "opening as a worker";
        let main = BranchName::main();
        let pinned = self.tenant.pin(PinKind::Reader, "w", "u", &main, None).await.map_err(failed(STAGE))?;
        let readable = self.tenant.branch(&main).open_position(&pinned.position, &pinned.pin).await;
        let readable = readable.map_err(failed(STAGE))?;
        let export = self.disk.path().join("export");
        let parts = export.join("parts");
        std::fs::create_dir_all(&parts).map_err(failed(STAGE))?;
        let engine = open_to_read(&readable, self.disk.path(), export).await;
        let engine = engine.map_err(failed(STAGE))?;
        expected.is("opened as a worker", &engine)?;
        if !self.exports {
            return Ok(());
        }
        engine.export_parquet(&parts, |_| {}).await.map(drop).map_err(failed("exporting"))
    }
}

/// As [`tenant_runtime::workers::snapshot`] does.
async fn open_to_read(
    readable: &roost_store::ReadablePosition,
    disk: &Path,
    export: PathBuf,
) -> Result<Engine, String> {
    let setup = EngineSetup {
        database: "acme".into(),
        sizing: Sizing { memory_bytes: 1 << 30, threads: 2 },
        settings: BTreeMap::new(),
        spill_limit: 4 << 30,
        cache_limit: 4 << 30,
        max_sessions: 1,
    };
    let folders = Folders::make(&disk.join("worker")).map_err(|error| error.to_string())?;
    let opened = private_copy::open(readable, &setup, folders, Some(export), Environment::system()).await;
    opened.map(|(engine, _)| engine).map_err(|problem| problem.to_string())
}

fn connect(engine: &Engine) -> Result<Client, EngineError> {
    Ok(Box::new(engine.connect_for_test()?))
}

impl State {
    /// Whether another database is in this state.
    fn is(&self, stage: &'static str, engine: &Engine) -> Result<(), Failure> {
        let observed = block_in_place(|| {
            let mut connection = connect(engine).map_err(failed(stage))?;
            self.observed.read_alike(&mut connection).map_err(failed(stage))
        })?;
        self.observed.difference(&observed).map_or(Ok(()), |what| Err(Failure { stage, what }))
    }

    /// Whether a database that can be written refuses what it must, and hands out what it may; so often was it asked.
    fn is_kept(&self, stage: &'static str, engine: &Engine, looks: i64) -> Result<(), Failure> {
        let wrong = block_in_place(|| {
            let mut connection = connect(engine).map_err(failed(stage))?;
            let mut wrong = Observed::duplicates(&mut connection).map_err(failed(stage))?;
            wrong.extend(out_of_bounds(&self.sequences, looks, &mut connection).map_err(failed(stage))?);
            Ok(wrong)
        })?;
        if wrong.is_empty() { Ok(()) } else { Err(Failure { stage, what: wrong.join("\n") }) }
    }
}

/// Takes these steps in a world where nobody is killed, and returns the state that they leave.
async fn undisturbed(steps: &[Step]) -> Result<State, Failure> {
    let mut world = World::new(Durability::Asynchronous).await;
    for step in steps {
        let _ = world.take(step).await?;
    }
    world.state()
}
