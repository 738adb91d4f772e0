//! The running database as its publisher sees it: the engine's write gate and checkpoint, and the file's changes.

use crate::files::{LocalFiles, Taken};
use async_trait::async_trait;
use bytes::Bytes;
use roost_engine::{ClosedGate, Engine, GateError};
use roost_store::{ChunkSet, Freeze, Frozen, LocalDatabase, LocalError, chunk::chunk_range, step::stepped};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long transactions that write may hold a publish up before they are rolled back.
pub const GATE_PATIENCE: Duration = Duration::from_secs(10);
/// DuckDB's version, as manifests name the engine.
pub const ENGINE_VERSION: &str = "1.5.5";
/// DuckDB's storage version of new files.
pub const STORAGE_VERSION: &str = "v1.5.0";

/// Engine and file system of one tenant, joined.
pub struct ServedDatabase {
    engine: Engine,
    files: LocalFiles,
    /// Time of the oldest commit that a publish under way has taken.
    publishing_since: Mutex<Option<jiff::Timestamp>>,
    /// Keeps the gate closed after the last freeze.
    sealed: Mutex<Option<ClosedGate>>,
}

impl ServedDatabase {
    /// Joins an engine with the files that it runs on.
    pub fn new(engine: Engine, files: LocalFiles) -> Self {
        Self { engine, files, publishing_since: Mutex::default(), sealed: Mutex::default() }
    }

    /// When the oldest commit that is not published yet was made; none when all are.
    pub fn oldest_unpublished(&self) -> Option<jiff::Timestamp> {
        match (*self.publishing(), self.files.oldest_unpublished()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// A publish that took the changes succeeded.
    pub fn published(&self) {
        *self.publishing() = None;
    }

    /// Size of the database file in bytes; 0 if it cannot be told.
    pub fn size(&self) -> u64 {
        self.files.main_size().unwrap_or(0)
    }

    fn publishing(&self) -> std::sync::MutexGuard<'_, Option<jiff::Timestamp>> {
        self.publishing_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close_gate(&self) -> Result<ClosedGate, LocalError> {
        let closed = stepped("close gate", "", self.engine.close_gate(GATE_PATIENCE)).await;
        closed.map_err(|error| match error {
            GateError::HoldersStuck { .. } => LocalError::retryable(error.to_string()),
            GateError::Sealed => LocalError::lasting(error.to_string()),
        })
    }

    async fn checkpoint(&self, gate: &ClosedGate) -> Result<Taken, LocalError> {
        let window = self.files.checkpoint().map_err(|error| LocalError::lasting(error.to_string()))?;
        let checkpointed = stepped("checkpoint", "", self.engine.checkpoint(gate)).await;
        drop(window);
        checkpointed.map_err(|error| {
            let message = format!("the checkpoint failed: {error}");
            if self.engine.has_failed() {
                LocalError::lasting(message)
            } else {
                LocalError::retryable(message)
            }
        })?;
        Ok(self.files.take_changes())
    }

    fn describe(&self, taken: &Taken) -> std::io::Result<Frozen> {
        Ok(Frozen {
            file_size: self.files.main_size()?,
            dirty: taken.chunks.clone(),
            database_id: self.files.database_id()?,
            last_commit: taken.last_commit,
            engine_version: ENGINE_VERSION.into(),
            storage_version: STORAGE_VERSION.into(),
        })
    }
}

#[async_trait]
impl LocalDatabase for ServedDatabase {
    async fn freeze(&self, purpose: Freeze) -> Result<Frozen, LocalError> {
        // A failed seal may be tried again: the gate is closed already, and nothing can have changed but the
        // dirty set, which was given back.
        let held = self.sealed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let gate = match held {
            Some(gate) => gate,
            None => self.close_gate().await?,
        };
        let taken = self.checkpoint(&gate).await?;
        *self.publishing() = taken.first_commit;
        let frozen = self.describe(&taken).map_err(|error| {
            self.files.give_back(&taken.chunks, taken.first_commit);
            LocalError::retryable(format!("the database file cannot be read: {error}"))
        })?;
        if purpose == Freeze::Seal {
            gate.seal();
            *self.sealed.lock().unwrap_or_else(PoisonError::into_inner) = Some(gate);
        }
        Ok(frozen)
    }

    async fn read_chunk(&self, index: u64, length: usize) -> Result<Bytes, LocalError> {
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; length];
            let start = chunk_range(index, u64::MAX).start;
            files.read_main(start, &mut buffer).map(|()| Bytes::from(buffer))
        });
        match read.await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(LocalError::retryable(format!("chunk {index} cannot be read: {error}"))),
            Err(stopped) => Err(LocalError::retryable(format!("chunk {index} was not read: {stopped}"))),
        }
    }

    async fn restore(&self, dirty: ChunkSet) {
        let since = self.publishing().take();
        self.files.give_back(&dirty, since);
    }
}
