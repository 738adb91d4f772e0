//! The open instance, as its sessions share it.
use crate::activity::ActivityCounters;
use crate::config::{CHECKPOINT_INTERVAL, ROLLBACK_GRACE, STOP_INTERVAL};
use crate::error::QueryError;
use crate::gate::{GateClosure, GateError, GateHold, Interrupter, WriteGate};
use crate::guard::SessionGuard;
use crate::session::client_connection::ClientConnection;
use crate::session::control::Control;
use crate::session::registry::Sessions;
use crate::session::running::Running;
use crate::session::spares::Spares;
use crate::session::stop_cause::StopCause;
use roost_duckdb::{Database, EngineError, ErrorKind};
use roost_protocol::problem::ErrorCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// State that sessions share: the open instance, which lives until the last of them ends, and who may write to it.
pub(crate) struct Instance {
    pub connections: Database,
    pub database: String,
    pub guard: Arc<SessionGuard>,
    pub activity: Arc<ActivityCounters>,
    pub gate: WriteGate,
    pub writes_refused: RwLock<Option<String>>,
    /// Since when readers of an older state keep checkpoints from running.
    pub blocked_since: Mutex<Option<Instant>>,
    pub failed: AtomicBool,
    /// When a transaction that wrote was last known to be committed.
    last_write: Mutex<Option<Instant>>,
    alone_patience: Duration,
    /// When a statement that runs alone was last executed, or begun to be.
    last_alone: Mutex<Option<Instant>>,
    pub sessions: Arc<Sessions>,
    pub spares: Spares,
}

impl Instance {
    /// Over what was opened, with nothing under way.
    pub fn new(
        connections: Database,
        guard: Arc<SessionGuard>,
        (database, alone_patience): (String, Duration),
    ) -> Self {
        Self {
            connections,
            database,
            guard,
            activity: Arc::new(ActivityCounters::new()),
            gate: WriteGate::new(),
            writes_refused: RwLock::default(),
            blocked_since: Mutex::default(),
            failed: AtomicBool::new(false),
            last_write: Mutex::default(),
            alone_patience,
            last_alone: Mutex::default(),
            sessions: Arc::default(),
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
    pub fn try_gate(&self, control: &Arc<Control>) -> Result<Option<GateHold>, QueryError> {
        self.check_writes()?;
        self.gate.try_take(&interrupter(control)).map_err(|_| sealed())
    }

    /// The same, waiting while a publish has it closed, unless what runs has to stop. Blocks.
    pub fn wait_for_gate(&self, control: &Arc<Control>, running: &Running) -> Result<GateHold, QueryError> {
        let taken = unless_stopped(control, running, self.gate.take(interrupter(control)))?;
        let hold = taken.map_err(|_| sealed())?;
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

    /// A transaction that wrote is committed. Its gate is still held.
    pub fn wrote(&self) {
        *self.last_write.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// A statement that runs alone was executed, or has failed. The gate is still closed to others.
    pub fn ran_alone(&self) {
        *self.last_alone.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a transaction began after the last statement that ran alone.
    pub fn sees_what_ran_alone(&self, own: &Control) -> bool {
        let last = *self.last_alone.lock().unwrap_or_else(PoisonError::into_inner);
        !last.is_some_and(|moment| own.sees_state_before(moment))
    }

    /// Closes the gate to everybody but `hold`; `None` if somebody else closes it. Blocks, unless what runs has to stop.
    pub fn write_alone(
        &self,
        hold: &GateHold,
        control: &Control,
        running: &Running,
    ) -> Result<Option<GateClosure>, QueryError> {
        let closed = unless_stopped(control, running, self.gate.close_beside(hold, self.alone_patience))?;
        closed.map_err(|error| match error {
            GateError::Sealed => sealed(),
            GateError::HoldersStuck { .. } => {
                let message =
                    "Other transactions that write did not end in time, and this statement runs alone";
                QueryError::new(ErrorCode::TransactionConflict, message).hint("Run it again")
            }
        })
    }

    /// Waits until no other transaction sees a state from before the last write; in the end such are interrupted. Nobody may
    /// write meanwhile. Blocks, unless what runs has to stop.
    pub fn until_older_ended(&self, own: &Arc<Control>, running: &Running) -> Result<(), QueryError> {
        let Some(moment) = *self.last_write.lock().unwrap_or_else(PoisonError::into_inner) else {
            return Ok(());
        };
        if own.sees_state_before(moment) {
            let message = "Something was written since this transaction began, so it can neither make an index nor change a type";
            let hint = "Run it again, and do that in a transaction of its own, or first in this one";
            return Err(QueryError::new(ErrorCode::TransactionConflict, message).hint(hint));
        }
        let patience = self.alone_patience;
        unless_stopped(own, running, async {
            let begun = Instant::now();
            let mut stop_at = begun + patience;
            while self.sessions.any_older_than(moment, own) {
                if begun.elapsed() >= patience + ROLLBACK_GRACE {
                    let message =
                        "Readers of an older state are active, and this statement cannot run beside them";
                    return Err(QueryError::new(ErrorCode::TransactionConflict, message).hint("Run it again"));
                }
                if Instant::now() >= stop_at {
                    self.sessions.stop_older_than(moment, Some(own));
                    stop_at = Instant::now() + STOP_INTERVAL;
                }
                tokio::time::sleep(CHECKPOINT_INTERVAL).await;
            }
            Ok(())
        })
        .flatten()
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
            self.sessions.stop_all(StopCause::EngineFailed);
        }
    }

    /// DuckDB's error for a client; one that killed the instance is noted.
    pub fn query_error(&self, error: EngineError) -> QueryError {
        self.note(&error);
        error.into()
    }
}

/// Waits for this, unless what runs has to stop. Blocks.
fn unless_stopped<T>(
    control: &Control,
    running: &Running,
    wait: impl Future<Output = T>,
) -> Result<T, QueryError> {
    control.runtime().block_on(async {
        tokio::select! {
            biased;
            cause = running.stopped() => Err(cause.error()),
            done = wait => Ok(done),
        }
    })
}

/// Makes the function that stops this session's transaction, so that it gives the gate back.
fn interrupter(control: &Arc<Control>) -> Interrupter {
    let control = Arc::downgrade(control);
    Arc::new(move || {
        if let Some(control) = control.upgrade() {
            control.stop(StopCause::Publish);
        }
    })
}

fn sealed() -> QueryError {
    let message = "The database is being sealed; nothing of this statement was executed";
    QueryError::new(ErrorCode::Draining, message).hint("Send the request again")
}
