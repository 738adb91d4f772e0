//! What a borrowed thread does for a session: statements, requests, the rows of a result, and the end of what nobody
//! attends to. One thread at a time.
use super::control::{Control, Unattended};
use super::executor::Executor;
use super::reading::{Reading, Step};
use super::registry::Registration;
use super::reply::Reply;
use super::request::{self, Mode, Request};
use super::running::Running;
use super::statement::Statement;
use super::stop_cause::StopCause;
use crate::error::QueryError;
use crate::instance::Instance;
use roost_duckdb::{Extracted, Value};
use roost_protocol::problem::ErrorCode;
use roost_protocol::session::Role;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// What ends with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The statement; a transaction of the client's goes on.
    Statement,
    /// The request, with all that is open, and the session.
    Request,
}

/// A session that has its connection.
pub(super) struct Work {
    /// The result that is being read. Before the connection: a result ends before its connection does.
    reading: Option<(Reading, Reply, Scope)>,
    executor: Executor,
    /// Why the client's open transaction was rolled back without it; told to its next statement.
    lost: Option<QueryError>,
    /// Nothing runs, and everybody knows.
    rests: bool,
    /// The session ends: nothing runs on it any more.
    over: bool,
}

impl Work {
    /// Parses.
    pub fn extract(&mut self, sql: &str) -> Result<Vec<Extracted>, QueryError> {
        self.executor.extract(sql)
    }

    /// Binds a statement, which judges it.
    pub fn prepare(&mut self, extracted: Extracted) -> Result<Statement, QueryError> {
        let judged = self.executor.judge(extracted)?;
        let writes = self.executor.writes(&judged.prepared);
        Ok(Statement::new(judged.prepared, judged.action, writes))
    }

    /// Executes a statement, and makes its rows until there is no room for more.
    pub fn execute(&mut self, statement: &Statement, values: &[Value], reply: Reply) {
        self.executor.through = 1;
        let mut wrapped = false;
        let begun = self.executor.wrap(statement.kind).and_then(|was| {
            wrapped = was;
            let _alone = self.executor.alter_alone(statement.kind)?;
            let mut prepared = statement.prepared.lock().map_err(|_| crashed())?;
            self.executor.execute(&mut prepared, statement.action, values)
        });
        match begun {
            Ok(begun) => {
                let prepared = Arc::clone(&statement.prepared);
                self.read(
                    Reading::new(begun, prepared.into(), statement.action, wrapped),
                    reply,
                    Scope::Statement,
                );
            }
            Err(error) => self.conclude(Err(error), wrapped, reply, Scope::Statement),
        }
    }

    /// Runs a request, and makes its rows until there is no room for more.
    pub fn serve(&mut self, request: &Request, mode: Mode, reply: Reply) {
        match request::run(&mut self.executor, request, mode) {
            Ok(Some(reading)) => self.read(reading, reply, Scope::Request),
            Ok(None) => self.conclude(Ok(()), false, reply, Scope::Request),
            Err(error) => self.conclude(Err(error), false, reply, Scope::Request),
        }
    }

    fn read(&mut self, reading: Reading, mut reply: Reply, scope: Scope) {
        let told = reply.send_header(reading.stream());
        self.reading = Some((reading, reply, scope));
        match told {
            Ok(()) => self.produce(),
            Err(error) => self.end_reading(Err(error)),
        }
    }

    /// Makes rows until there is no room for more, or the result ends.
    pub fn produce(&mut self) {
        while let Some((reading, reply, _)) = &mut self.reading {
            match reading.step(&self.executor, reply) {
                Ok(Step::Sent(rows)) => self.executor.outcome.rows_returned += rows,
                Ok(Step::Full) => {
                    if reply.pause() {
                        return;
                    }
                }
                Ok(Step::End) => self.end_reading(Ok(())),
                Err(error) => self.end_reading(Err(error)),
            }
        }
    }

    fn end_reading(&mut self, result: Result<(), QueryError>) {
        let Some((reading, reply, scope)) = self.reading.take() else { return };
        let (result, wrapped) = reading.end(&mut self.executor, result);
        self.conclude(result, wrapped, reply, scope);
    }

    /// Ends a statement or a request, and answers.
    fn conclude(&mut self, result: Result<(), QueryError>, wrapped: bool, reply: Reply, scope: Scope) {
        let executor = &mut self.executor;
        let result = match scope {
            Scope::Statement => result.inspect_err(|_| executor.failed(wrapped)),
            Scope::Request => {
                let left_open = executor.end_transaction(result.is_err());
                if left_open { result.and_then(|()| Err(request::left_open())) } else { result }
            }
        };
        let result = result.map_err(|error| error.after(executor.running.commits.statements()));
        self.over |= scope == Scope::Request || executor.control.is_closing();
        let outcome = executor.outcome;
        if scope == Scope::Statement {
            // Whoever has the answer asks whether a transaction is open.
            self.rest();
        }
        reply.finish(result.map(|()| outcome));
    }

    /// Nothing runs any more. What ended in spite of a stop that ends its transaction has not said so: the next statement
    /// does.
    fn rest(&mut self) {
        let cause = self.executor.running.stop_cause().filter(|cause| cause.ends_transaction());
        if let Some(cause) = cause
            && self.executor.in_transaction()
        {
            self.roll_back(cause);
        }
        self.executor.running.end();
        self.executor.control.is_idle(self.executor.in_transaction());
        self.rests = true;
    }

    /// Rolls the client's transaction back; its next statement is told why.
    fn roll_back(&mut self, cause: StopCause) {
        self.executor.end_transaction(false);
        self.lost = Some(cause.error());
    }
}

/// A session on its way: before its first statement, with its connection, or after its end.
enum State {
    New(Opening),
    Open(Box<Work>, #[expect(dead_code, reason = "it is held, not looked at")] Kept),
    Over,
}

/// What a session is opened from.
pub(super) struct Opening {
    pub shared: Arc<Instance>,
    pub control: Arc<Control>,
    pub role: Role,
    pub kept: Kept,
}

/// What a session keeps until its end.
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

    /// Runs something on the session's connection, which is made if this is the first. Blocks.
    pub fn run<R>(&self, running: &Arc<Running>, act: impl FnOnce(&mut Work) -> R) -> Result<R, QueryError> {
        let mut state = self.0.lock().map_err(|_| crashed())?;
        open(&mut state, running)?;
        let State::Open(work, _) = &mut *state else { return Err(closed()) };
        if let Some(lost) = work.lost.take() {
            running.end();
            return Err(lost);
        }
        // One result at a time: another statement ends the one before.
        if work.reading.is_some() {
            work.end_reading(Err(superseded()));
        }
        work.rests = false;
        work.executor.begin(Arc::clone(running));
        let _ends = EndOnPanic(running);
        let acted = act(work);
        settle(&mut state);
        Ok(acted)
    }

    /// The same for what answers with a result. Blocks.
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
            work.end_reading(if whole { Ok(()) } else { Err(StopCause::ReaderLeft.error()) });
        }
        settle(&mut state);
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        self.0.try_lock().ok()
    }
}

fn open(state: &mut State, running: &Arc<Running>) -> Result<(), QueryError> {
    let State::New(Opening { shared, control, role, .. }) = state else { return Ok(()) };
    let executor = Executor::new(Arc::clone(shared), Arc::clone(control), Arc::clone(running), *role)?;
    if let State::New(Opening { kept, .. }) = std::mem::replace(state, State::Over) {
        let work = Work { reading: None, executor, lost: None, rests: false, over: false };
        *state = State::Open(Box::new(work), kept);
    }
    Ok(())
}

/// After a thread's work: the session rests, ends, or waits for its reader.
fn settle(state: &mut State) {
    let State::Open(work, _) = state else { return };
    if work.reading.is_some() {
        return;
    }
    work.over |= work.executor.control.is_closing();
    if !work.over {
        if !work.rests {
            work.rest();
        }
        return;
    }
    let (running, shared) = (Arc::clone(&work.executor.running), Arc::clone(&work.executor.shared));
    // The connection is closed, and the place given up, before anybody is told that it is.
    *state = State::Over;
    running.end();
    shared.make_spare();
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
            work.end_reading(Err(cause.error()));
        }
        settle(&mut state);
    }

    fn roll_back_idle(&self, cause: StopCause) {
        let Ok(mut state) = self.0.lock() else { return };
        let State::Open(work, _) = &mut *state else { return };
        if work.reading.is_none() && work.executor.in_transaction() {
            work.roll_back(cause);
            work.rest();
        }
    }

    fn close(&self) {
        let Ok(mut state) = self.0.lock() else { return };
        match &mut *state {
            State::New(_) => *state = State::Over,
            State::Open(work, _) if work.reading.is_none() => {
                work.executor.end_transaction(false);
                settle(&mut state);
            }
            State::Open(..) | State::Over => {}
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

fn crashed() -> QueryError {
    QueryError::new(ErrorCode::Internal, "The session met a fault of ours and has ended")
}

fn closed() -> QueryError {
    QueryError::new(ErrorCode::Draining, "The session has ended").hint("Open another one")
}

fn superseded() -> QueryError {
    QueryError::new(
        ErrorCode::Cancelled,
        "The rest of the result was dropped: another statement was run in its session",
    )
}
