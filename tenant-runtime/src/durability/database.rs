//! The running database as its publisher sees it: the engine's write gate and checkpoint, and the file's changes.

use crate::{
    durability::{replay_failure, shipper::Shipper},
    files::{LocalFiles, Unpublished, damage::Damage},
    metrics::PublishMetrics,
};
use async_trait::async_trait;
use bytes::Bytes;
use roost_engine::{
    ClosedGate, Engine, GateError, QueryError,
    mutation::{Mutation, broken},
};
use roost_store::{
    ChunkSet, Environment, Freeze, Frozen, LocalDatabase, LocalError, pager::PagerCounts, step::stepped,
    stream::Lsn,
};
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// Time for which transactions that write may hold a publish up before they are rolled back.
pub const GATE_PATIENCE: Duration = Duration::from_secs(10);
/// Time for which a publish waits for commits to be shipped, before it holds writers back and while it does.
pub const SHIPPING_PATIENCE: Duration = Duration::from_secs(10);
/// Time for which readers of an older state may go on while a commit is held: less than the half minute that answers
/// wait.
const HELD_READER_PATIENCE: Duration = Duration::from_secs(10);
/// DuckDB's version, as manifests name the engine.
pub const ENGINE_VERSION: &str = "1.5.6";
/// DuckDB's storage version of new files.
pub const STORAGE_VERSION: &str = "v1.5.0";

/// WAL of at most so many bytes is read where it is asked for: it was just written, and is in memory.
const SMALL_READ: u64 = 64 * 1024;

/// Most blocks of the catalog that are fetched before an opening (16 MiB): the rest when it is read.
const MAX_BOOT_METADATA: usize = 64;

/// A publish under way, or one that failed and is to be tried again.
struct Publishing {
    /// Time of the oldest commit in it.
    since: Option<jiff::Timestamp>,
}

/// Engine and file system of one tenant, joined.
pub struct ServedDatabase {
    engine: Engine,
    files: LocalFiles,
    shipper: Arc<Shipper>,
    metrics: PublishMetrics,
    /// The publish that has taken changes and not succeeded yet.
    publishing: Mutex<Option<Publishing>>,
    /// Keeps the gate closed after the last freeze.
    sealed: Mutex<Option<ClosedGate>>,
    /// Since when no checkpoint was possible, on the monotonic clock.
    failing_since: Mutex<Option<Duration>>,
    environment: Environment,
    /// DuckDB's error at the last checkpoint, if what the database holds was the cause.
    uncheckpointable: Mutex<Option<String>>,
}

impl ServedDatabase {
    /// Joins an engine with the files that it runs on.
    pub fn new(
        engine: Engine,
        files: LocalFiles,
        shipper: Arc<Shipper>,
        metrics: PublishMetrics,
        environment: Environment,
    ) -> Self {
        Self {
            engine,
            files,
            shipper,
            metrics,
            publishing: Mutex::default(),
            sealed: Mutex::default(),
            failing_since: Mutex::default(),
            uncheckpointable: Mutex::default(),
            environment,
        }
    }

    /// The last commit, as it changes.
    pub fn commits(&self) -> watch::Receiver<Lsn> {
        self.files.commits()
    }

    /// Waits until a commit is held, unless one was since the last call.
    pub async fn commit_is_held(&self) {
        self.files.commit_is_held().await;
    }

    /// Since when no checkpoint was possible, for transactions or readers that did not end; none if the last one was.
    pub fn checkpoint_failing_since(&self) -> Option<Duration> {
        *self.failing()
    }

    fn failing(&self) -> std::sync::MutexGuard<'_, Option<Duration>> {
        self.failing_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether a checkpoint was possible.
    fn note_checkpoint(&self, possible: bool) {
        let mut failing = self.failing();
        if possible {
            *failing = None;
        } else {
            failing.get_or_insert(self.environment.clock.monotonic());
        }
    }

    /// It is not known whether a checkpoint would be possible: the bucket does not take what comes before it.
    pub fn bucket_is_late(&self) {
        *self.failing() = None;
    }

    /// Whether a commit has waited for a publish for so long that readers of an older state must go.
    fn readers_must_go(&self) -> bool {
        let now = self.environment.clock.monotonic();
        let held = self.files.unpublished().held_since;
        held.is_some_and(|since| now.saturating_sub(since) >= HELD_READER_PATIENCE)
    }

    /// Age and amount of what no manifest holds yet. Once a publish has taken changes, one is needed until one
    /// succeeds.
    pub fn unpublished(&self) -> Unpublished {
        let mut unpublished = self.files.unpublished();
        if let Some(Publishing { since }) = &*self.publishing() {
            unpublished.since = since.or(unpublished.since);
            unpublished.needs_publish = true;
        }
        unpublished
    }

    /// A publish that took the changes succeeded.
    pub fn published(&self) {
        *self.publishing() = None;
        self.files.pager().published();
    }

    /// Whether all commits are held until this process ends.
    pub fn log_is_doubtful(&self) -> bool {
        self.files.renames().have_failed()
    }

    /// Size of the database file in bytes; 0 if it cannot be told.
    pub fn size(&self) -> u64 {
        self.files.main_size().unwrap_or(0)
    }

    /// Counts of the cache of the database file since it was opened.
    pub fn cache_counts(&self) -> PagerCounts {
        self.files.pager().counts()
    }

    /// Damage that was met in the bucket.
    pub fn damage(&self) -> &Damage {
        self.files.damage()
    }

    /// Why the last checkpoint failed, if that was for what the database holds and not for where it is kept.
    pub fn uncheckpointable(&self) -> Option<String> {
        self.uncheckpointable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_reason(&self, failed: Option<&QueryError>) {
        let why = failed.filter(|error| !self.files.have_failed() && replay_failure::is_about_data(error));
        *self.uncheckpointable.lock().unwrap_or_else(PoisonError::into_inner) = why.map(ToString::to_string);
    }

    fn publishing(&self) -> std::sync::MutexGuard<'_, Option<Publishing>> {
        self.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close_gate(&self) -> Result<ClosedGate, LocalError> {
        let closed = stepped("close gate", "", self.engine.close_gate(GATE_PATIENCE)).await;
        if matches!(closed, Err(GateError::HoldersStuck { .. })) {
            self.note_checkpoint(false);
        }
        closed.map_err(|error| match error {
            GateError::HoldersStuck { .. } => LocalError::retryable(error.to_string()),
            GateError::Sealed => LocalError::lasting(error.to_string()),
        })
    }

    /// Waits until all is shipped that can be, and checkpoints.
    async fn freeze_behind(&self, gate: &ClosedGate, purpose: Freeze) -> Result<Frozen, LocalError> {
        let drained = tokio::time::timeout(SHIPPING_PATIENCE, self.shipper.drained());
        let Ok(_turn) = stepped("drain", "", drained).await else {
            self.bucket_is_late();
            return Err(LocalError::retryable(
                "commits could not be shipped in time, so nothing was checkpointed",
            ));
        };
        self.checkpoint(gate, purpose).await
    }

    fn sealed(&self) -> std::sync::MutexGuard<'_, Option<ClosedGate>> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chunks that opening this state reads: those of the catalog, and those that were read first when it was opened
    /// here.
    async fn boot_set(&self) -> ChunkSet {
        let metadata = self.engine.metadata_blocks().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the next opening fetches the catalog piece by piece");
            Vec::new()
        });
        // Chunk 0 is the headers, so block n is chunk n + 1.
        let mut boot: ChunkSet =
            metadata.into_iter().take(MAX_BOOT_METADATA).map(|block| block + 1).chain([0]).collect();
        boot.union(&self.files.pager().first_reads());
        boot
    }

    /// Checkpoints, and takes what that leaves: from then on there is no way back but to publish it.
    async fn checkpoint(&self, gate: &ClosedGate, purpose: Freeze) -> Result<Frozen, LocalError> {
        let window = self.files.checkpoint().map_err(|error| LocalError::lasting(error.to_string()))?;
        let checkpoint = async {
            if self.readers_must_go() {
                self.engine.checkpoint_interrupting(gate).await
            } else {
                self.engine.checkpoint(gate).await
            }
        };
        let checkpointed = stepped("checkpoint", "", checkpoint).await;
        drop(window);
        self.note_checkpoint(checkpointed.is_ok());
        self.note_reason(checkpointed.as_ref().err());
        checkpointed.map_err(|error| {
            let message = format!("the checkpoint failed: {error}");
            if self.engine.has_failed() {
                LocalError::lasting(message)
            } else {
                LocalError::retryable(message)
            }
        })?;
        let unreadable = |error| LocalError::retryable(format!("the database file cannot be read: {error}"));
        let file_size = self.files.main_size().map_err(unreadable)?;
        let database_id = self.files.database_id().map_err(unreadable)?;
        let taken = self.files.take_changes(purpose == Freeze::First);
        self.metrics.held(taken.held);
        *self.publishing() = Some(Publishing { since: taken.first_commit });
        Ok(Frozen {
            file_size,
            dirty: taken.chunks,
            database_id,
            last_commit: taken.last_commit,
            boot: ChunkSet::new(),
            rotated: taken.rotated,
            engine_version: ENGINE_VERSION.into(),
            storage_version: STORAGE_VERSION.into(),
        })
    }
}

#[async_trait]
impl LocalDatabase for ServedDatabase {
    async fn freeze(&self, purpose: Freeze) -> Result<Frozen, LocalError> {
        // A failed seal may be tried again: the gate is closed for ever already, and nothing can have changed.
        let held = self.sealed().take();
        let was_sealed = held.is_some();
        let gate = match held {
            Some(gate) => gate,
            None => self.close_gate().await?,
        };
        let closed = Instant::now();
        let frozen = self.freeze_behind(&gate, purpose).await;
        if purpose == Freeze::Publish {
            self.metrics.gate_was_closed(closed.elapsed());
        }
        let seal = was_sealed || (purpose == Freeze::Seal && frozen.is_ok());
        if seal && !broken(Mutation::OpenTheGateBeforeSealing) {
            gate.seal();
            *self.sealed() = Some(gate);
        } else {
            drop(gate);
        }
        let mut frozen = frozen?;
        frozen.boot = self.boot_set().await;
        Ok(frozen)
    }

    async fn read_chunk(&self, index: u64, length: usize) -> Result<Bytes, LocalError> {
        let read = self.files.pager().chunk(index, length).await;
        read.map_err(|error| {
            let message = format!("chunk {index} cannot be read: {error}");
            if self.damage().note(&error) {
                LocalError::lasting(message)
            } else {
                LocalError::retryable(message)
            }
        })
    }

    #[allow(clippy::disallowed_methods, reason = "reads a file of the cache")]
    async fn read_wal(&self, range: Range<u64>) -> Result<Bytes, LocalError> {
        let files = self.files.clone();
        let read = if range.end - range.start <= SMALL_READ {
            files.read_wal(range)
        } else {
            let read = tokio::task::spawn_blocking(move || files.read_wal(range)).await;
            read.map_err(|stopped| LocalError::lasting(format!("the WAL was not read: {stopped}")))?
        };
        read.map(Bytes::from).map_err(|error| LocalError::lasting(format!("the WAL cannot be read: {error}")))
    }
}
