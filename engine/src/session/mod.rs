//! Sessions: a connection each, for statement after statement of one client, or for one request. A thread is borrowed
//! while a statement runs, and while rows are made for which there is room.
//!
//! | file | its job |
//! |---|---|
//! | `mod` | a session as its client uses it |
//! | `statement`, `rows`, `outcome`, `request` | what is asked and what comes back |
//! | `control`, `registry`, `stop_cause` | making it end: cancel, time, publish, drain |
//! | `shared_work`, `work`, `reading`, `reply`, `threads` | the side of the borrowed thread |
//! | `executor`, `parameters`, `commits`, `running` | one statement under policy, gate and transaction |
//! | `client_connection`, `spares` | connections, made ahead |

pub(crate) mod client_connection;
mod commits;
pub(crate) mod control;
mod executor;
mod outcome;
mod parameters;
mod reading;
pub(crate) mod registry;
mod reply;
mod request;
mod rows;
pub(crate) mod running;
mod shared_work;
pub(crate) mod spares;
mod statement;
pub(crate) mod stop_cause;
pub(crate) mod threads;
mod work;

pub use outcome::Outcome;
pub use request::Request;
pub use rows::RowStream;
pub use statement::{Column, Statement};

use crate::activity::ActivityCounters;
use crate::error::QueryError;
use crate::instance::Instance;
use control::Control;
use reply::Reply;
use request::Mode;
use roost_duckdb::{Extracted, Progress, Value};
use roost_protocol::session::Role;
use rows::no_thread;
use running::Running;
use shared_work::{Kept, Opening, SharedWork};
use std::sync::Arc;
use std::time::Duration;
use stop_cause::StopCause;
use threads::SessionThreads;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use work::Work;

/// The bounds of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Time for which a transaction may be open with nothing of it under way. Then it is rolled back, and the next
    /// statement is told so (SQLSTATE 25P03). One that writes may end sooner: a publish rolls it back after having
    /// waited for it.
    pub idle_transaction: Duration,
}

impl Default for SessionLimits {
    /// Transactions may be idle for five minutes.
    fn default() -> Self {
        Self { idle_transaction: Duration::from_mins(5) }
    }
}

/// One client's session on the tenant's database: its settings, temporary tables and transaction. Dropping it ends it.
pub struct Session {
    work: Arc<SharedWork>,
    control: Arc<Control>,
    activity: Arc<ActivityCounters>,
    /// Gives nothing, and ends when the connection is closed.
    closed: watch::Receiver<()>,
    /// The session ends with this; a request's ends with its result.
    ends: bool,
}

impl Session {
    pub(crate) fn open(
        shared: Arc<Instance>,
        threads: SessionThreads,
        place: OwnedSemaphorePermit,
        role: Role,
        limits: SessionLimits,
    ) -> Self {
        let control = Control::new(Handle::current(), threads, limits.idle_transaction);
        let (open, closed) = watch::channel(());
        let kept = Kept { _place: place, _registration: shared.sessions.register(&control), _open: open };
        let activity = Arc::clone(&shared.activity);
        let work = SharedWork::new(Opening { shared, control: Arc::clone(&control), role, kept });
        Self { work, control, activity, closed, ends: true }
    }

    /// Parses `sql` into its statements; nothing of it is bound or run.
    pub async fn extract(&mut self, sql: &str, timeout: Duration) -> Result<Vec<Extracted>, QueryError> {
        let sql = sql.to_owned();
        self.on_thread(timeout, move |work| work.extract(&sql)).await
    }

    /// Binds a statement to the state of now, and judges it. It can be executed any number of times.
    pub async fn prepare(
        &mut self,
        statement: Extracted,
        timeout: Duration,
    ) -> Result<Statement, QueryError> {
        self.on_thread(timeout, move |work| work.prepare(statement)).await
    }

    /// Executes a statement of this session up to its first rows. Reading them may take as long as `timeout` as well. A
    /// result of this session that was not read to its end is dropped.
    pub async fn execute(
        &mut self,
        statement: &Statement,
        values: Vec<Value>,
        timeout: Duration,
    ) -> Result<RowStream, QueryError> {
        let statement = statement.clone();
        self.stream(timeout, move |work, reply| work.execute(&statement, &values, reply)).await
    }

    /// Runs a request, and ends the session with it. Answers once the last statement has its first rows, or its end;
    /// what was not committed when this future or the stream is dropped is rolled back, and so is a transaction that is
    /// open at the end of the request, which is an error.
    pub async fn request(mut self, request: Request) -> Result<RowStream, QueryError> {
        self.whole(request, Mode::Query).await
    }

    /// Runs a script (several statements, no BEGIN or COMMIT) in one transaction, and ends the session with it: all of
    /// it, or nothing.
    pub async fn script(mut self, script: Request) -> Result<(), QueryError> {
        let mut stream = self.whole(script, Mode::Script).await?;
        while let Some(batch) = stream.next().await {
            batch?;
        }
        Ok(())
    }

    async fn whole(&mut self, request: Request, mode: Mode) -> Result<RowStream, QueryError> {
        let begun = self.stream(request.timeout, move |work, reply| work.serve(&request, mode, reply)).await;
        self.ends = begun.is_err();
        begun
    }

    /// Whether a transaction of the client's is open, which may have failed.
    pub fn in_transaction(&self) -> bool {
        self.control.in_transaction()
    }

    /// A handle for whoever is to stop what runs, or to ask how far it is.
    pub fn handle(&self) -> SessionHandle {
        SessionHandle { control: Arc::clone(&self.control), closed: self.closed.clone() }
    }

    /// Ends the session: what runs is stopped, an open transaction rolled back. Returns when the connection is closed,
    /// or what runs is given up.
    pub async fn end(self) {
        let (running, mut closed) = (self.control.running(), self.closed.clone());
        drop(self);
        let given_up = async {
            match running {
                Some(running) => drop(running.given_up().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = closed.changed() => {}
            () = given_up => {}
        }
    }

    /// Does something with the connection, on a borrowed thread.
    async fn on_thread<R: Send + 'static>(
        &mut self,
        timeout: Duration,
        act: impl FnOnce(&mut Work) -> Result<R, QueryError> + Send + 'static,
    ) -> Result<R, QueryError> {
        let running = Running::begin(&self.activity);
        self.control.began(&running, timeout);
        let (answer, mut answered) = oneshot::channel();
        let (work, runs) = (Arc::clone(&self.work), Arc::clone(&running));
        let borrowed = self.control.threads().run(move || {
            let acted = work.run(&runs, |work| {
                let acted = act(work)?;
                runs.check()?;
                Ok(acted)
            });
            let acted = acted.flatten();
            runs.end();
            let _ = answer.send(acted);
        });
        borrowed.map_err(|error| no_thread(&error, &running))?;
        running.answer(&mut answered).await
    }

    /// Does something that answers with a result.
    async fn stream(
        &mut self,
        timeout: Duration,
        act: impl FnOnce(&mut Work, Reply) + Send + 'static,
    ) -> Result<RowStream, QueryError> {
        let running = Running::begin(&self.activity);
        let (stream, reply, header) =
            RowStream::begin(Arc::clone(&self.work), Arc::clone(&self.control), Arc::clone(&running));
        self.control.began(&running, timeout);
        let (work, runs) = (Arc::clone(&self.work), Arc::clone(&running));
        let borrowed = self.control.threads().run(move || work.answer(&runs, reply, act));
        borrowed.map_err(|error| no_thread(&error, &running))?;
        stream.begun(header).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.ends {
            self.control.close(StopCause::ReaderLeft);
        }
    }
}

/// A session for whoever is to stop it or to ask how far it is.
#[derive(Clone)]
pub struct SessionHandle {
    control: Arc<Control>,
    closed: watch::Receiver<()>,
}

impl SessionHandle {
    /// Stops the statement that runs, if any does. A transaction of the client's stays, failed, for the client to end.
    pub fn cancel(&self) {
        self.control.stop(StopCause::Cancelled);
    }

    /// Ends the session because the engine is about to go.
    pub fn drain(&self) {
        self.control.close(StopCause::Draining);
    }

    /// Tells how far the statement that runs has come; `None` when none does, or DuckDB cannot tell.
    pub fn progress(&self) -> Option<Progress> {
        self.control.running().and_then(|_| self.control.progress())
    }

    /// Tells how long what runs has been running; `None` when nothing does.
    pub fn elapsed(&self) -> Option<Duration> {
        self.control.running().map(|running| running.started.elapsed())
    }

    /// Whether its connection is closed: nothing of it can be committed any more.
    pub fn is_closed(&self) -> bool {
        self.closed.has_changed().is_err()
    }

    /// Whether nothing of it runs; a transaction may be open.
    pub fn is_idle(&self) -> bool {
        self.control.running().is_none()
    }

    /// Does something once what runs now has ended.
    pub fn when_idle(&self, act: impl FnOnce() + Send + 'static) {
        let running = self.control.running();
        self.control.runtime().spawn(async move {
            if let Some(running) = running {
                running.until_ended().await;
            }
            act();
        });
    }

    /// Does something once its connection is closed.
    pub fn when_closed(&self, act: impl FnOnce() + Send + 'static) {
        let mut closed = self.closed.clone();
        self.control.runtime().spawn(async move {
            // Nothing is ever sent: it ends with the sender.
            let _ = closed.changed().await;
            act();
        });
    }
}
