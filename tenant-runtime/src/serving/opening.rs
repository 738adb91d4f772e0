//! From a claim to a served tenant: take over, open the file and the engine, run the init script.

use crate::{
    admission::Admission,
    durability::{
        clock_check,
        database::{STORAGE_VERSION, ServedDatabase},
        publisher::{Patience, Publisher},
        replay_failure::{self, PendingReplay},
        shipper::{Pace, Shipper},
    },
    files::{Access as FileAccess, LocalFiles, MAIN_PATH},
    lifecycle::Lifecycle,
    limits::Sizing,
    metrics::Metrics,
    problems,
    serving::prover::Prover,
};
use roost_engine::{Engine, EngineConfig, OpenError, Request, SessionLimits};
use roost_protocol::{
    problem::{ErrorCode, Problem},
    session::Role,
    status::RuntimeState,
};
use roost_store::{
    BranchStore, Environment, Holder, Hydrated, OwnedBranch, Takeover,
    pager::{LEAST_CACHE_BYTES, Pager},
    step::stepped,
    stream::Tail,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Longest time of the init script.
const INIT_SCRIPT_TIMEOUT: Duration = Duration::from_mins(10);

/// Setup of the engine.
#[derive(Clone, Debug)]
pub struct EngineSetup {
    /// Name of the database in SQL: the tenant's.
    pub database: String,
    /// Memory and threads.
    pub sizing: Sizing,
    /// Settings of the class.
    pub settings: BTreeMap<String, String>,
    /// Most that may be spilled, in bytes.
    pub spill_limit: u64,
    /// Most that the local copy of the database should take, in bytes.
    pub cache_limit: u64,
    /// Requests that may run at once.
    pub max_sessions: usize,
}

impl EngineSetup {
    /// Bytes that the local copy of the database may take: at least several times what all threads read at a time.
    pub fn cache_bytes(&self) -> u64 {
        self.cache_limit.max(self.sizing.threads as u64 * 8 * LEAST_CACHE_BYTES)
    }
}

/// Everything that is needed to open a branch and serve it.
pub struct Opening {
    /// The branch in the bucket.
    pub store: BranchStore,
    /// Name and id of the process that takes it over.
    pub holder: Holder,
    /// Whether an unsealed HEAD is taken over too.
    pub takeover: Takeover,
    /// SQL for a branch that was never published.
    pub init_script: Option<String>,
    /// The engine.
    pub engine: EngineSetup,
    /// Folder for this process alone.
    pub cache: PathBuf,
    /// Longest times that commits may stay unpublished, and undurable.
    pub patience: Patience,
    /// Pace at which WAL is shipped.
    pub pace: Pace,
    /// Metrics.
    pub metrics: Metrics,
    /// Clock and randomness.
    pub environment: Environment,
}

/// A tenant that is being served.
pub struct Served {
    /// The right to publish.
    pub branch: Arc<OwnedBranch>,
    /// Engine and files.
    pub database: Arc<ServedDatabase>,
    /// The engine.
    pub engine: Engine,
    /// Ships what is committed.
    pub shipper: Arc<Shipper>,
    /// Publishes.
    pub publisher: Arc<Publisher>,
    /// Proves ownership.
    pub prover: Arc<Prover>,
    /// Admission, and the activities under way.
    pub admission: Arc<Admission>,
    /// Clock.
    pub environment: Environment,
}

impl Served {
    /// Refuses new requests from now on; the rest of draining follows.
    pub fn begin_draining(&self, lifecycle: &Lifecycle, cause: &str) {
        self.admission.close(draining());
        // Draining may have begun already, for another cause.
        let _ = lifecycle.advance(RuntimeState::Draining, cause);
    }
}

/// Problem of a request that comes too late.
pub fn draining() -> Problem {
    let detail = "the tenant is being put to sleep; nothing was executed; send the request again";
    Problem::new(ErrorCode::Draining, detail).retry_after(1)
}

/// Takes the branch over and opens it. On an error the branch is given back if it was taken.
/// Errors: `storage-unreachable`, `fenced`, `not-sealed`, `init-script-failed`, `engine-failed`, `replay-failed`,
/// `data-corrupted`, `data-missing`, `data-owned-elsewhere`, `key-unavailable`, `storage-denied`,
/// `tenant-not-ready`, `writes-paused`, `internal`.
pub async fn open(opening: Opening, lifecycle: &Lifecycle) -> Result<Served, Problem> {
    let started = opening.environment.clock.monotonic();
    let _ = lifecycle.advance(RuntimeState::Hydrating, "taking the branch over");
    let branch = opening
        .store
        .take_over(&opening.holder, opening.takeover)
        .await
        .map_err(|error| problems::of_store(&error))?;
    tracing::info!(epoch = branch.epoch(), has_data = branch.has_data(), "took the branch over");
    let opened = open_owned(&opening, Arc::clone(&branch), lifecycle).await;
    lifecycle.foretell(None);
    match opened {
        Ok(served) => {
            let took = opening.environment.clock.monotonic().saturating_sub(started);
            opening.metrics.wake.seconds.observe(took.as_secs_f64());
            tracing::info!(took_millis = took.as_millis(), "serving");
            Ok(served)
        }
        Err(problem) => {
            if let Err(error) = branch.relinquish().await {
                tracing::warn!(%error, "the branch could not be given back; the next owner has to prove that we are gone");
            }
            Err(problem)
        }
    }
}

async fn open_owned(
    opening: &Opening,
    branch: Arc<OwnedBranch>,
    lifecycle: &Lifecycle,
) -> Result<Served, Problem> {
    let folders = Folders::make(&opening.cache).map_err(|error| cache_problem(&error))?;
    let file = branch
        .open(&folders.main, opening.engine.cache_bytes())
        .await
        .map_err(|error| problems::of_store(&error))?;
    opening.metrics.watch_cache(&file.pager);
    let number = branch.head().number();
    let replay = PendingReplay::of(branch.head().branch, &file.content);
    // The engine may take the process with it.
    lifecycle.foretell(replay.as_ref().map(PendingReplay::foretold).as_ref());
    let failed = |problem| match &replay {
        Some(replay) => replay.explain(problem),
        None => problem,
    };
    let (access, tail) = match file.content {
        Hydrated::Empty => (FileAccess::Create, Tail::new(number, branch.head().last_commit)),
        Hydrated::Restored { file_size, wal, last_commit, .. } => {
            opening.metrics.wake.database_bytes.set(i64::try_from(file_size).unwrap_or(i64::MAX));
            tracing::info!(bytes = file_size, wal, "opened");
            (FileAccess::ReadWrite, Tail::after(number, wal, last_commit))
        }
    };
    let (engine, files) = open_engine(
        (&opening.engine, branch.former_names()),
        folders,
        (file.pager, access, tail),
        None,
        opening.environment.clone(),
    )
    .await
    .map_err(failed)?;
    let shipper = Arc::new(Shipper::new(
        Arc::clone(&branch),
        files.clone(),
        opening.pace,
        opening.metrics.ship.clone(),
        opening.environment.clone(),
    ));
    let publish_metrics = opening.metrics.publish.clone();
    let database = Arc::new(ServedDatabase::new(
        engine.clone(),
        files,
        Arc::clone(&shipper),
        publish_metrics.clone(),
        opening.environment.clone(),
    ));
    let publisher = Arc::new(Publisher::new(
        Arc::clone(&branch),
        Arc::clone(&database),
        Arc::clone(&shipper),
        engine.clone(),
        opening.environment.clone(),
        opening.patience,
        publish_metrics,
    ));
    publisher.refuse_writes_if_unfit();
    if let Some(warning) = branch.bucket_clock_ahead().and_then(clock_check::warning) {
        tracing::warn!("{warning}");
    }
    if let (FileAccess::Create, Some(script)) = (access, &opening.init_script) {
        let request = Request { sql: script.clone(), parameters: Vec::new(), timeout: INIT_SCRIPT_TIMEOUT };
        let run =
            async { engine.open_session(Role::ReadWrite, SessionLimits::default())?.script(request).await };
        run.await.map_err(|error| problems::of_init_script(script, &error))?;
    }
    // A new database, or what an owner before left as WAL: nothing can be shipped before a manifest of ours.
    if branch.must_publish_first() {
        let first = publisher.publish_first().await;
        first.map_err(|error| {
            let problem = || match database.uncheckpointable() {
                Some(why) if replay.is_some() => failed(replay_failure::problem(&why)),
                _ => problems::of_store(&error),
            };
            database.damage().found().cloned().unwrap_or_else(problem)
        })?;
    }
    let prover = Arc::new(Prover::new(Arc::clone(&branch), opening.environment.clone()));
    let admission = Arc::new(Admission::new(opening.environment.clock.monotonic()));
    let environment = opening.environment.clone();
    Ok(Served { branch, database, engine, shipper, publisher, prover, admission, environment })
}

/// The folders of one process.
pub struct Folders {
    data: PathBuf,
    spill: PathBuf,
    /// The database file, which is not there yet.
    pub main: PathBuf,
}

impl Folders {
    /// Makes them empty: nothing on the disk is trusted over the bucket.
    pub fn make(cache: &Path) -> io::Result<Self> {
        let (data, spill) = (cache.join("data"), cache.join("spill"));
        for folder in [&data, &spill] {
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => std::fs::create_dir_all(folder)?,
            }
        }
        let main = data.join("main");
        Ok(Self { data, spill, main })
    }
}

/// The cache folder cannot be used.
pub fn cache_problem(error: &io::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("the cache folder cannot be used: {error}"))
}

/// Opens the engine over the database file and its WAL; `former_names` are those of the tenants that it was copied from.
/// `export` is the folder that a worker may write to.
/// Errors: `engine-failed`, `replay-failed`, `data-corrupted`, `tenant-not-ready`, `internal`.
#[allow(clippy::disallowed_methods, reason = "DuckDB opens a database in one call that blocks")]
pub async fn open_engine(
    (setup, former_names): (&EngineSetup, &[String]),
    folders: Folders,
    (pager, access, tail): (Arc<Pager>, FileAccess, Tail),
    export: Option<PathBuf>,
    environment: Environment,
) -> Result<(Engine, LocalFiles), Problem> {
    let files = LocalFiles::new(&folders.data, pager, access, tail, environment);
    let config = EngineConfig {
        former_names: former_names.to_vec(),
        renames: files.renames(),
        main_path: MAIN_PATH.into(),
        memory_limit_bytes: setup.sizing.memory_bytes,
        threads: setup.sizing.threads,
        temp_limit_bytes: setup.spill_limit,
        storage_version: STORAGE_VERSION.into(),
        settings: setup.settings.clone(),
        read_only: access == FileAccess::ReadOnly,
        export_directory: export,
        max_sessions: setup.max_sessions,
        ..EngineConfig::new(setup.database.clone(), folders.spill)
    };
    let has_wal = files.has_wal();
    let vfs = files.attaching().map_err(|error| Problem::new(ErrorCode::EngineFailed, error.to_string()))?;
    let opened = tokio::task::spawn_blocking(move || Engine::open(config, vfs));
    let opened = stepped("attach", "", opened).await;
    let engine = match opened {
        Ok(opened) => opened.map_err(|error: OpenError| {
            let problem = || match replay_failure::failure(&error).filter(|_| has_wal && !files.have_failed())
            {
                Some(why) => replay_failure::problem(&why),
                None => problems::of_open(&error),
            };
            files.damage().found().cloned().unwrap_or_else(problem)
        })?,
        Err(stopped) => return Err(Problem::new(ErrorCode::Internal, stopped.to_string())),
    };
    files.attached().map_err(|error| Problem::new(ErrorCode::EngineFailed, error.to_string()))?;
    Ok((engine, files))
}
