//! The engine: one DuckDB instance with the tenant's database, and what may be asked of it.
use crate::activity::Activity;
use crate::config::{
    CHECKPOINT_INTERVAL, CHECKPOINT_PATIENCE, EngineConfig, READER_PATIENCE, ROLLBACK_GRACE,
};
use crate::connection_thread::ConnectionThread;
use crate::error::{OpenError, QueryError};
use crate::export::{self, ExportError, ExportProgress, ExportSummary};
use crate::gate::{GateClosure, GateError};
use crate::instance::Instance;
use crate::lockdown::Walls;
use crate::metadata;
use crate::opening;
use crate::session::stop_cause::StopCause;
use crate::session::threads::SessionThreads;
use crate::session::{Session, SessionLimits};
use roost_duckdb::{ErrorKind, Vfs};
use roost_protocol::problem::ErrorCode;
use roost_protocol::session::Role;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// One tenant's database, open. Cheap to clone; all methods are for async callers and never block.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Instance>,
    own: Arc<ConnectionThread>,
    sessions: Arc<Semaphore>,
    threads: SessionThreads,
    max_sessions: usize,
    export_directory: Option<std::path::PathBuf>,
    former_names: Vec<String>,
}

impl Engine {
    /// Opens the tenant's database through `vfs` and locks the instance down. Blocks: call it on a thread that may.
    pub fn open(config: EngineConfig, vfs: Arc<dyn Vfs>) -> Result<Self, OpenError> {
        Self::open_behind(config, vfs, &Walls::all())
    }

    /// Opens with only some walls up, so that a test can show which of them stops an attack.
    #[cfg(feature = "test-walls")]
    pub fn open_with_walls(
        config: EngineConfig,
        vfs: Arc<dyn Vfs>,
        walls: &Walls,
    ) -> Result<Self, OpenError> {
        Self::open_behind(config, vfs, walls)
    }

    /// A connection of a writing client that lasts longer than a request, so that a test can let transactions take
    /// turns. Its plans are judged as those of requests are; it takes no write gate: whoever has such a transaction
    /// open must not publish. Blocks.
    #[cfg(feature = "test-walls")]
    pub fn connect_for_test(
        &self,
    ) -> Result<impl std::ops::DerefMut<Target = roost_duckdb::Connection> + use<>, roost_duckdb::EngineError>
    {
        let client = self.shared.connect_client()?;
        client.belongs_to(Role::ReadWrite);
        Ok(client)
    }

    fn open_behind(config: EngineConfig, vfs: Arc<dyn Vfs>, walls: &Walls) -> Result<Self, OpenError> {
        let opened = opening::open(&config, vfs, walls)?;
        let own = ConnectionThread::start("engine-own", opened.own, crate::config::OWN_QUEUE)?;
        let shared =
            Instance::new(opened.instance, opened.guard, (config.database_name, config.alone_patience));
        Ok(Self {
            shared: Arc::new(shared),
            own: Arc::new(own),
            sessions: Arc::new(Semaphore::new(config.max_sessions)),
            threads: SessionThreads::default(),
            max_sessions: config.max_sessions,
            export_directory: config.export_directory,
            former_names: config.former_names,
        })
    }

    /// Opens a session; its connection is made with its first statement. Fails if there are too many, or the engine is
    /// dead. To be called within a Tokio runtime, on whose threads the session waits.
    pub fn open_session(&self, role: Role, limits: SessionLimits) -> Result<Session, QueryError> {
        if self.has_failed() {
            return Err(QueryError::failed_engine());
        }
        let place = Arc::clone(&self.sessions).try_acquire_owned().map_err(|_| {
            let message = format!("All {} sessions of this tenant are in use", self.max_sessions);
            QueryError::new(ErrorCode::Busy, message).hint("Try again in a moment")
        })?;
        Ok(Session::open(Arc::clone(&self.shared), self.threads.clone(), place, role, limits))
    }

    /// Closes the write gate: nobody takes it any more; transactions that hold it may go on for `patience`, then
    /// they are interrupted and rolled back. Readers are not disturbed.
    pub async fn close_gate(&self, patience: Duration) -> Result<ClosedGate, GateError> {
        self.shared.gate.close(patience).await.map(|closure| ClosedGate { closure })
    }

    /// Writes everything committed into the main file. The closed gate says that no transaction that writes is open.
    ///
    /// A transaction that updated rows or changed the catalog keeps DuckDB from checkpointing as long as a reader
    /// still sees the state before it. Such readers are given time: the call fails with
    /// [`ErrorCode::TransactionConflict`] after a second (open the gate, try again later), until they have
    /// blocked for 45 seconds or the gate is sealed; then they are interrupted.
    pub async fn checkpoint(&self, closed: &ClosedGate) -> Result<(), QueryError> {
        let since = *self.blocked_since();
        let insist =
            closed.closure.is_sealed() || since.is_some_and(|since| since.elapsed() >= READER_PATIENCE);
        self.try_checkpoint(closed, insist).await
    }

    /// As [`Self::checkpoint`], but readers that block it are interrupted at once.
    pub async fn checkpoint_interrupting(&self, closed: &ClosedGate) -> Result<(), QueryError> {
        self.try_checkpoint(closed, true).await
    }

    async fn try_checkpoint(&self, closed: &ClosedGate, insist: bool) -> Result<(), QueryError> {
        let begun = Instant::now();
        let patience = if insist { ROLLBACK_GRACE } else { CHECKPOINT_PATIENCE };
        loop {
            let database = self.shared.database.clone();
            let done = self.own.run(move |connection| opening::checkpoint(connection, &database)).await;
            match done.ok_or_else(QueryError::failed_engine)? {
                Ok(()) => {
                    *self.blocked_since() = None;
                    return Ok(());
                }
                Err(error) if error.kind == ErrorKind::Transaction => {
                    self.blocked_since().get_or_insert(begun);
                    if begun.elapsed() >= patience {
                        return Err(self
                            .shared
                            .query_error(error)
                            .hint("Readers of an older state are active"));
                    }
                }
                Err(error) => return Err(self.shared.query_error(error)),
            }
            if insist {
                self.shared.sessions.stop_older_than(closed.closure.closed_at(), None);
            }
            tokio::time::sleep(CHECKPOINT_INTERVAL).await;
        }
    }

    /// Numbers of the blocks of the main file that opening it reads: the catalog, as the last checkpoint wrote it.
    pub async fn metadata_blocks(&self) -> Result<Vec<u64>, QueryError> {
        let database = self.shared.database.clone();
        let found = self.own.run(move |connection| metadata::metadata_blocks(connection, &database)).await;
        found.ok_or_else(QueryError::failed_engine)?.map_err(|error| self.shared.query_error(error))
    }

    fn blocked_since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.shared.blocked_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses new writes with this reason, or allows them again. Transactions that already write go on.
    pub fn refuse_writes(&self, reason: Option<String>) {
        *self.shared.writes_refused.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Reads the engine's activity.
    pub fn activity(&self) -> Activity {
        self.shared.activity.read()
    }

    /// Whether a fatal error killed the instance. It answers nothing any more: drop it and take over again.
    pub fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::SeqCst)
    }

    /// Writes every table as Parquet, and `schema.sql`, into `directory`, which lies in the configured
    /// [`EngineConfig::export_directory`]. `progress` is told before each table.
    pub async fn export_parquet(
        &self,
        directory: &Path,
        progress: impl Fn(ExportProgress) + Send + 'static,
    ) -> Result<ExportSummary, ExportError> {
        let allowed = self.export_directory.as_deref().is_some_and(|allowed| directory.starts_with(allowed));
        if !allowed {
            return Err(ExportError::OutsideExportDirectory(directory.to_owned()));
        }
        let (database, directory) = (self.shared.database.clone(), directory.to_owned());
        let former_names = self.former_names.clone();
        self.own
            .run(move |connection| {
                export::export(connection, (&database, &former_names), &directory, &progress)
            })
            .await
            .unwrap_or(Err(ExportError::EngineGone))
    }

    /// Ends all sessions, waits until they have, and closes the engine's own connection.
    /// The file handles are closed once every clone of this engine is dropped.
    #[allow(clippy::disallowed_methods, reason = "closing DuckDB waits for its threads")]
    pub async fn close(self) {
        self.shared.sessions.close_all(StopCause::Draining);
        let all = u32::try_from(self.max_sessions).unwrap_or(u32::MAX);
        if let Ok(slots) = self.sessions.acquire_many(all).await {
            slots.forget();
        }
        if let Ok(own) = Arc::try_unwrap(self.own) {
            own.end().await;
        }
        let shared = self.shared;
        // Closing the instance may wait for DuckDB's threads.
        let _ = tokio::task::spawn_blocking(move || drop(shared)).await;
    }
}

/// The write gate is closed and no transaction that writes is open. Dropping it opens the gate again.
pub struct ClosedGate {
    closure: GateClosure,
}

impl ClosedGate {
    /// The gate never opens again: writes that wait for it, and later ones, are answered with
    /// [`ErrorCode::Draining`] and execute nothing. For the last publish.
    pub fn seal(&self) {
        self.closure.seal();
    }
}
