//! Requests under way: stopping them, asking how far they are.
use crate::commits::Commits;
use crate::config::{INTERRUPT_INTERVAL, STOP_PATIENCE};
use crate::error::QueryError;
use roost_duckdb::{InterruptHandle, Progress};
use roost_protocol::problem::ErrorCode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

/// Why a request is made to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// Its time is over.
    Timeout,
    /// Somebody cancelled it by its id.
    Cancelled,
    /// Nobody reads its result any more.
    ReaderLeft,
    /// Its open transaction held a publish up for too long.
    Publish,
    /// It reads a state so old that it holds a publish up.
    OldSnapshot,
    /// The engine is about to go.
    Draining,
    /// The engine is dead.
    EngineFailed,
}

impl StopCause {
    pub fn error(self) -> QueryError {
        use ErrorCode as Kind;
        match self {
            Self::Timeout => QueryError::new(Kind::StatementTimeout, "The request took longer than it may")
                .hint("Ask for less at once, send a longer timeout, or have the tenant class's statementTimeout raised"),
            Self::Cancelled => QueryError::new(Kind::Cancelled, "The query was cancelled"),
            Self::ReaderLeft => {
                QueryError::new(Kind::Cancelled, "The query was stopped because its reader left")
            }
            Self::Publish => QueryError::with_sqlstate(
                Kind::TransactionConflict,
                "25P03",
                "The transaction stayed open for so long that it held up publishing; it was rolled back",
            )
            .hint("Run it again in shorter transactions, and read results without pausing: a publish waits ten seconds for one, \
                 each minute and whenever another commit needs it"),
            Self::OldSnapshot => QueryError::with_sqlstate(
                Kind::TransactionConflict,
                "72000",
                "The query read a state that changed long ago, and held up publishing for too long; it was stopped",
            )
            .hint("Run it again, and read results without pausing"),
            Self::Draining => QueryError::new(Kind::Draining, "The tenant's pod is leaving, and the query took longer than it could wait; it was stopped",
            )
            .hint("Send the request again"),
            Self::EngineFailed => QueryError::failed_engine(),
        }
    }
}

/// One request under way.
pub(crate) struct Running {
    pub id: Uuid,
    pub started: Instant,
    /// What of it is committed.
    pub commits: Commits,
    interrupt: OnceLock<InterruptHandle>,
    cause: watch::Sender<Option<StopCause>>,
    ended: watch::Sender<bool>,
    /// Whether it is answered without its session, which goes on and commits nothing.
    given_up: watch::Sender<bool>,
    /// Whether interrupts are over; held while one is fired.
    settled: Mutex<bool>,
    /// Since when its transaction sees one state of the database.
    snapshot_since: Mutex<Option<Instant>>,
    runtime: Handle,
}

impl Running {
    pub fn new(id: Uuid, runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            id,
            started: Instant::now(),
            commits: Commits::default(),
            interrupt: OnceLock::new(),
            cause: watch::Sender::new(None),
            ended: watch::Sender::new(false),
            given_up: watch::Sender::new(false),
            settled: Mutex::new(false),
            snapshot_since: Mutex::new(None),
            runtime,
        })
    }

    /// The session has its connection; from now on a stop reaches DuckDB.
    pub fn connected(&self, interrupt: InterruptHandle) {
        let _ = self.interrupt.set(interrupt);
    }

    /// Makes the request stop; the first cause is the one reported. The interrupt is repeated until the request
    /// has ended, because DuckDB forgets one that comes between two statements. One that does not end is given up.
    pub fn stop(self: &Arc<Self>, cause: StopCause) {
        let first = self.cause.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(cause);
            first
        });
        if !first || *self.ended.borrow() {
            return;
        }
        let running = Arc::clone(self);
        self.runtime.spawn(async move {
            let mut ended = running.ended.subscribe();
            let begun = Instant::now();
            loop {
                running.interrupt();
                // The cause is set: a session that writes nothing now finds it before it could begin to.
                if begun.elapsed() >= STOP_PATIENCE && !running.commits.is_writing() {
                    running.given_up.send_if_modified(|given_up| !std::mem::replace(given_up, true));
                }
                let over = ended.wait_for(|ended| *ended);
                if tokio::time::timeout(INTERRUPT_INTERVAL, over).await.is_ok() {
                    return;
                }
            }
        });
    }

    fn interrupt(&self) {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if let (false, Some(interrupt)) = (*settled, self.interrupt.get()) {
            interrupt.interrupt();
        }
    }

    /// No interrupt reaches the connection from here on: what follows (a rollback, a commit) must not be broken by one.
    pub fn settle(&self) {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Interrupts reach the connection again; one that was asked for meanwhile is repeated.
    pub fn unsettle(&self) {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// A statement or transaction begins, and with it what is seen of the database.
    pub fn snapshot_taken(&self) {
        self.snapshot_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// No transaction is open.
    pub fn snapshot_released(&self) {
        *self.snapshot_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn sees_state_before(&self, moment: Instant) -> bool {
        self.snapshot_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|since| since <= moment)
    }

    /// Why it has to stop, if it has.
    pub fn stop_cause(&self) -> Option<StopCause> {
        *self.cause.borrow()
    }

    /// Waits until it has to stop.
    pub async fn stopped(&self) -> StopCause {
        let mut cause = self.cause.subscribe();
        let stopped = cause.wait_for(Option::is_some).await.map(|cause| *cause);
        match stopped {
            Ok(Some(cause)) => cause,
            // The sender is a field of `self`: the channel cannot close, and `Some` was waited for.
            Ok(None) | Err(_) => StopCause::Cancelled,
        }
    }

    /// Waits until its session is over.
    pub async fn until_ended(&self) {
        let mut ended = self.ended.subscribe();
        let _ = ended.wait_for(|ended| *ended).await;
    }

    pub fn progress(&self) -> Option<Progress> {
        self.interrupt.get().and_then(InterruptHandle::progress)
    }

    /// What to report when the session ended without a word.
    pub fn vanished(&self) -> QueryError {
        let error = self.stop_cause().map_or_else(
            || QueryError::new(ErrorCode::Internal, "The session ended without an answer"),
            StopCause::error,
        );
        error.after(self.commits.statements())
    }

    /// Waits for what the session says at its end, unless the request is given up.
    pub async fn end<T>(&self, end: &mut oneshot::Receiver<Result<T, QueryError>>) -> Result<T, QueryError> {
        tokio::select! {
            biased;
            end = end => end.unwrap_or_else(|_| Err(self.vanished())),
            error = self.given_up() => Err(error),
        }
    }

    /// Waits until the request is given up, and says why it was made to stop.
    pub async fn given_up(&self) -> QueryError {
        let mut given_up = self.given_up.subscribe();
        // The sender is a field of `self`: the channel cannot close.
        let _ = given_up.wait_for(|given_up| *given_up).await;
        self.vanished()
    }
}

/// All requests under way, by id.
#[derive(Default)]
pub(crate) struct RunningRequests {
    by_id: Mutex<HashMap<Uuid, Arc<Running>>>,
}

impl RunningRequests {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Running>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in; `None` when its id is in use.
    pub fn register(self: &Arc<Self>, running: &Arc<Running>) -> Option<Registration> {
        use std::collections::hash_map::Entry;
        match self.map().entry(running.id) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(Arc::clone(running));
                Some(Registration { requests: Arc::clone(self), running: Arc::clone(running) })
            }
        }
    }

    pub fn find(&self, id: Uuid) -> Option<Arc<Running>> {
        self.map().get(&id).cloned()
    }

    pub fn count(&self) -> usize {
        self.map().len()
    }

    pub fn stop_all(&self, cause: StopCause) {
        self.stop_where(cause, |_| true);
    }

    /// Stops those whose transaction sees a state from before `moment`.
    pub fn stop_older_than(&self, moment: Instant) {
        self.stop_where(StopCause::OldSnapshot, |running| running.sees_state_before(moment));
    }

    fn stop_where(&self, cause: StopCause, wanted: impl Fn(&Running) -> bool) {
        let found: Vec<_> = self.map().values().filter(|running| wanted(running)).cloned().collect();
        for running in found {
            running.stop(cause);
        }
    }
}

/// Keeps a request in the list; dropping it takes the request out and ends its interrupts.
pub(crate) struct Registration {
    requests: Arc<RunningRequests>,
    running: Arc<Running>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.requests.map().remove(&self.running.id);
        self.running.ended.send_replace(true);
    }
}
