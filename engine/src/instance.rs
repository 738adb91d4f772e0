//! The open instance, as its sessions share it.
use crate::activity::ActivityCounters;
use crate::client_connection::ClientConnection;
use crate::error::QueryError;
use crate::gate::{GateHold, Interrupter, WriteGate};
use crate::guard::SessionGuard;
use crate::running::{Running, RunningRequests, StopCause};
use crate::spares::Spares;
use roost_duckdb::{Database, EngineError, ErrorKind};
use roost_protocol::problem::ErrorCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;
use tokio::runtime::Handle;

/// What sessions share: the open instance, which lives until the last of them ends, and who may write to it.
pub(crate) struct Instance {
    pub connections: Database,
    pub database: String,
    pub guard: Arc<SessionGuard>,
    pub activity: ActivityCounters,
    pub gate: WriteGate,
    pub writes_refused: RwLock<Option<String>>,
    /// Since when readers of an older state keep checkpoints from running.
    pub blocked_since: Mutex<Option<Instant>>,
    pub failed: AtomicBool,
    pub requests: Arc<RunningRequests>,
    pub spares: Spares,
}

impl Instance {
    /// Over what was opened, with nothing under way.
    pub fn new(connections: Database, guard: Arc<SessionGuard>, database: String) -> Self {
        Self {
            connections,
            database,
            guard,
            activity: ActivityCounters::new(),
            gate: WriteGate::new(),
            writes_refused: RwLock::default(),
            blocked_since: Mutex::default(),
            failed: AtomicBool::new(false),
            requests: Arc::default(),
            spares: Spares::default(),
        }
    }

    /// A connection for a client's statements: one that was made ahead, if there is one.
    pub fn client_connection(&self) -> Result<ClientConnection, EngineError> {
        self.spares.take().map_or_else(|| self.connect_client(), Ok)
    }

    /// Makes the connection of a request to come, for which nobody waits.
    pub fn make_spare(&self) {
        if self.failed.load(Ordering::SeqCst) {
            return;
        }
        self.spares.fill(|| self.connect_client()).unwrap_or_else(|error| self.note(&error));
    }

    /// A new connection of a client.
    pub fn connect_client(&self) -> Result<ClientConnection, EngineError> {
        ClientConnection::open(&self.connections, &self.guard, &self.database)
    }

    /// Takes the write gate for a session's transaction, if it is open.
    pub fn try_gate(&self, running: &Arc<Running>) -> Result<Option<GateHold>, QueryError> {
        self.check_writes()?;
        self.gate.try_take(&interrupter(running)).map_err(|_| sealed())
    }

    /// The same, waiting while a publish has it closed.
    pub fn wait_for_gate(&self, running: &Arc<Running>, runtime: &Handle) -> Result<GateHold, QueryError> {
        let hold = runtime.block_on(async {
            tokio::select! {
                biased;
                cause = running.stopped() => Err(cause.error()),
                taken = self.gate.take(interrupter(running)) => taken.map_err(|_| sealed()),
            }
        })?;
        self.check_writes()?;
        Ok(hold)
    }

    fn check_writes(&self) -> Result<(), QueryError> {
        let refused = self.writes_refused.read().unwrap_or_else(PoisonError::into_inner).clone();
        refused.map_or(Ok(()), |reason| {
            Err(QueryError::new(ErrorCode::WritesPaused, format!("Writes are paused: {reason}"))
                .hint("Reads go on; try the write again later"))
        })
    }

    /// Notes an error that may have killed the instance.
    pub fn note(&self, error: &EngineError) {
        // A checkpoint that cannot read or write its file invalidates the database, and says no more than that.
        if !matches!(error.kind, ErrorKind::Fatal | ErrorKind::Internal | ErrorKind::Io) {
            return;
        }
        let dead = self.connections.invalidated();
        if (error.kind == ErrorKind::Fatal || dead.is_some()) && !self.failed.swap(true, Ordering::SeqCst) {
            tracing::error!(%error, reason = dead.as_deref().unwrap_or(""), "the engine has failed");
            self.requests.stop_all(StopCause::EngineFailed);
        }
    }

    /// DuckDB's error for a client; one that killed the instance is noted.
    pub fn query_error(&self, error: EngineError) -> QueryError {
        self.note(&error);
        error.into()
    }
}

/// What makes this request's transaction give the gate back.
fn interrupter(running: &Arc<Running>) -> Interrupter {
    let running = Arc::downgrade(running);
    Arc::new(move || {
        if let Some(running) = running.upgrade() {
            running.stop(StopCause::Publish);
        }
    })
}

fn sealed() -> QueryError {
    let message = "The database is being sealed; nothing of this statement was executed";
    QueryError::new(ErrorCode::Draining, message).hint("Send the request again")
}
