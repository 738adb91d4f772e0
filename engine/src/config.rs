//! Configuration of an engine, and the bounds that hold in it.
use crate::wal::Renames;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Batches (of at most 2048 rows) that a query may have made ahead of its reader.
pub const STREAM_DEPTH: usize = 2;
/// Time for which a thread waits for room for the rows it has made before it is given back: shorter than its next use
/// would take to begin, for a reader that reads on.
pub(crate) const LINGER: Duration = Duration::from_millis(2);
/// Statements that one request may hold.
pub(crate) const MAX_STATEMENTS: usize = 1_000;
/// Most connections that wait for requests.
pub(crate) const MAX_SPARES: usize = 8;
/// Most threads that wait for requests.
pub(crate) const MAX_IDLE_THREADS: usize = 8;
/// Commands that wait for the engine's own connection.
pub(crate) const OWN_QUEUE: usize = 16;
/// Time for interrupted holders of the gate to roll back before closing it fails; also for interrupted readers, before
/// a checkpoint fails.
pub(crate) const ROLLBACK_GRACE: Duration = Duration::from_secs(10);
/// Time for which a checkpoint is tried again while readers of an older state block it; then it is given up for now.
pub(crate) const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(1);
/// Time for which readers of an older state may block checkpoints (over several tries) before they are interrupted.
pub(crate) const READER_PATIENCE: Duration = Duration::from_secs(45);
/// Default of [`EngineConfig::alone_patience`]: as long as a held commit's publish waits.
pub(crate) const ALONE_PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two times that readers of an older state are told to stop: each takes a thread for a session that is idle.
pub(crate) const STOP_INTERVAL: Duration = Duration::from_millis(500);
/// Pause between two tries of a blocked checkpoint.
pub(crate) const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(10);
/// Pause between two interrupts, which are repeated until the statement has ended (one that meets the gap between two
/// statements is lost).
pub(crate) const INTERRUPT_INTERVAL: Duration = Duration::from_millis(20);
/// Time for which a request that was made to stop is waited for. DuckDB looks at interrupts between vectors only, and
/// not while it waits for a file: a request that cannot commit anything is then answered without its session.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Configuration of an engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Name under which the tenant's database is attached and used. Not `memory`, `system` or `temp`.
    pub database_name: String,
    /// Names of the tenants that the database was copied from: what was written under them (`"acme"."main"."t"` in a
    /// view) finds the database as well.
    pub former_names: Vec<String>,
    /// Told of transactions that rename tables: to be asked by whoever reads the WAL.
    pub renames: Renames,
    /// The database file, under `roost://` (`roost://main`).
    pub main_path: String,
    /// DuckDB's memory limit, in bytes.
    pub memory_limit_bytes: u64,
    /// DuckDB's threads.
    pub threads: usize,
    /// A folder that holds nothing else, for spilling.
    pub temp_directory: PathBuf,
    /// Most that may be spilled, in bytes.
    pub temp_limit_bytes: u64,
    /// `storage_compatibility_version` of a new database (`v1.5.0`); a file keeps what it was made with.
    pub storage_version: String,
    /// Settings of the tenant's class; only those of [`crate::policy::CLASS_SETTINGS`].
    pub settings: BTreeMap<String, String>,
    /// Attach the database read-only (snapshot workers).
    pub read_only: bool,
    /// Folder into which [`crate::Engine::export_parquet`] may write; none where tenants are served.
    pub export_directory: Option<PathBuf>,
    /// Sessions at once; more are refused as busy.
    pub max_sessions: usize,
    /// Time for which the making of an index, or the change of a type, waits for other writers, and then for readers of an
    /// older state, before they are interrupted.
    pub alone_patience: Duration,
}

impl EngineConfig {
    /// A configuration with defaults for what is not given: 1 GiB, 2 threads, 4 GiB of spill, 64 sessions, 10 s.
    pub fn new(database_name: impl Into<String>, temp_directory: impl Into<PathBuf>) -> Self {
        Self {
            database_name: database_name.into(),
            former_names: Vec::new(),
            renames: Renames::default(),
            main_path: "roost://main".into(),
            memory_limit_bytes: 1 << 30,
            threads: 2,
            temp_directory: temp_directory.into(),
            temp_limit_bytes: 4 << 30,
            storage_version: "v1.5.0".into(),
            settings: BTreeMap::new(),
            read_only: false,
            export_directory: None,
            max_sessions: 64,
            alone_patience: ALONE_PATIENCE,
        }
    }
}
