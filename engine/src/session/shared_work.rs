//! A session's work, shared between whoever borrows a thread for it: from before its first statement to after its end.
use super::control::{Control, Unattended};
use super::executor::Executor;
use super::registry::Registration;
use super::reply::Reply;
use super::running::Running;
use super::stop_cause::StopCause;
use super::work::{Phase, Work, crashed};
use crate::error::QueryError;
use crate::instance::Instance;
use roost_protocol::problem::ErrorCode;
use roost_protocol::session::Role;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// A session on its way: before its first statement, with its connection, or after its end.
enum State {
    New(Opening),
    Open(Box<Work>, Kept),
    Over,
}

/// A session before its first statement: what its connection is made with.
pub(super) struct Opening {
    pub shared: Arc<Instance>,
    pub control: Arc<Control>,
    pub role: Role,
    pub kept: Kept,
}

/// Resources that a session holds until its end.
pub(super) struct Kept {
    pub _place: OwnedSemaphorePermit,
    pub _registration: Registration,
    /// Closed with the connection.
    pub _open: watch::Sender<()>,
}

/// A session's work, for whoever borrows a thread for it.
pub(super) struct SharedWork(Mutex<State>);

impl SharedWork {
    pub fn new(opening: Opening) -> Arc<Self> {
        let control = Arc::clone(&opening.control);
        let work = Arc::new(Self(Mutex::new(State::New(opening))));
        let unattended: std::sync::Weak<dyn Unattended> = Arc::downgrade(&work) as _;
        control.attach(unattended);
        work
    }

    /// Runs something on the session's connection, which is made if this is the first. On an error nothing ran, and whoever
    /// calls ends `running`. Blocks.
    pub fn run<R>(&self, running: &Arc<Running>, act: impl FnOnce(&mut Work) -> R) -> Result<R, QueryError> {
        let mut state = self.0.lock().map_err(|_| crashed())?;
        open(&mut state, running)?;
        let State::Open(work, _) = &mut *state else { return Err(closed()) };
        if work.executor.control.is_closing() {
            work.phase = Phase::Over;
            settle(&mut state);
            return Err(closed());
        }
        if let Some(lost) = work.lost.take() {
            return Err(lost);
        }
        // One result at a time: another statement ends the one before.
        if work.is_read() {
            work.end_reading(Err(superseded()), false);
        }
        work.phase = Phase::Running;
        work.executor.begin(Arc::clone(running));
        let _ends = EndOnPanic(running);
        let acted = act(work);
        settle(&mut state);
        Ok(acted)
    }

    /// As [`Self::run`], for what answers with a result. Blocks.
    pub fn answer(&self, running: &Arc<Running>, reply: Reply, act: impl FnOnce(&mut Work, Reply)) {
        let mut reply = Some(reply);
        let ran = self.run(running, |work| {
            if let Some(reply) = reply.take() {
                act(work, reply);
            }
        });
        if let (Err(error), Some(reply)) = (ran, reply) {
            running.end();
            reply.finish(Err(error));
        }
    }

    /// Makes more rows for the reader. Blocks.
    pub fn produce(&self) {
        let Ok(mut state) = self.0.lock() else { return };
        if let State::Open(work, _) = &mut *state {
            let running = Arc::clone(&work.executor.running);
            let _ends = EndOnPanic(&running);
            work.produce();
        }
        settle(&mut state);
    }

    /// Lets go of a result whose reader wants no more of it; a transaction of the client's goes on. Blocks.
    pub fn leave(&self, running: &Arc<Running>) {
        let Ok(mut state) = self.0.lock() else { return };
        if let State::Open(work, _) = &mut *state
            && Arc::ptr_eq(&work.executor.running, running)
        {
            let whole = work.executor.in_transaction();
            work.end_reading(if whole { Ok(()) } else { Err(StopCause::ReaderLeft.error()) }, false);
        }
        settle(&mut state);
    }

    /// Locks the state. One that a panicking thread left behind is of no use: its connection is closed.
    fn lock_or_over(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| {
            let mut state = poisoned.into_inner();
            *state = State::Over;
            state
        })
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        self.0.try_lock().ok()
    }
}

fn open(state: &mut State, running: &Arc<Running>) -> Result<(), QueryError> {
    let State::New(Opening { shared, control, role, .. }) = state else { return Ok(()) };
    let executor = Executor::new(Arc::clone(shared), Arc::clone(control), Arc::clone(running), *role)?;
    if let State::New(Opening { kept, .. }) = std::mem::replace(state, State::Over) {
        *state = State::Open(Box::new(Work::new(executor)), kept);
    }
    Ok(())
}

/// After a thread's work: the session rests, ends, or waits for its reader.
fn settle(state: &mut State) {
    let State::Open(work, _) = state else { return };
    if work.is_read() {
        return;
    }
    if work.executor.control.is_closing() {
        work.phase = Phase::Over;
    }
    if work.phase == Phase::Running {
        work.rest();
    }
    if work.phase != Phase::Over {
        return;
    }
    work.executor.end_transaction(false);
    work.executor.control.is_idle(false);
    let (running, shared) = (Arc::clone(&work.executor.running), Arc::clone(&work.executor.shared));
    let State::Open(work, kept) = std::mem::replace(state, State::Over) else { return };
    drop(work);
    shared.make_spare();
    drop(shared);
    // Last: whoever waits for the place, or for the end, finds the connection closed.
    drop(kept);
    running.end();
}

impl Unattended for SharedWork {
    fn is_attended(&self) -> bool {
        self.try_lock().is_none()
    }

    fn end_stopped(&self) {
        let Some(mut state) = self.try_lock() else { return };
        if let State::Open(work, _) = &mut *state
            && let Some(cause) = work.executor.running.stop_cause()
        {
            work.end_reading(Err(cause.error()), true);
        }
        settle(&mut state);
    }

    fn roll_back_idle(&self, cause: StopCause) {
        let mut state = self.lock_or_over();
        let State::Open(work, _) = &mut *state else { return };
        if work.is_read() {
            // A statement has begun meanwhile.
            return work.executor.control.stop_running(&work.executor.running, cause);
        }
        if work.executor.in_transaction() {
            work.roll_back(cause);
            work.rest();
            settle(&mut state);
        }
    }

    fn close(&self) {
        let mut state = self.lock_or_over();
        match &mut *state {
            State::New(_) => *state = State::Over,
            State::Open(work, _) => {
                work.end_reading(Err(closed()), true);
                work.phase = Phase::Over;
                settle(&mut state);
            }
            State::Over => {}
        }
    }
}

/// Nobody waits for what a thread that panicked would have said.
struct EndOnPanic<'a>(&'a Running);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
        }
    }
}

fn closed() -> QueryError {
    QueryError::new(ErrorCode::Draining, "The session has ended").hint("Send it again")
}

fn superseded() -> QueryError {
    QueryError::new(
        ErrorCode::Cancelled,
        "The rest of the result was dropped: another statement was run in its session",
    )
}
