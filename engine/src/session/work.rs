//! Work of a borrowed thread for a session: statements, requests, and the rows of a result.
use super::executor::Executor;
use super::reading::{Reading, Step};
use super::reply::Reply;
use super::request::{self, Mode, Request};
use super::statement::Statement;
use super::stop_cause::StopCause;
use crate::error::QueryError;
use roost_duckdb::{Extracted, StatementKind, TransactionAction, Value};
use roost_protocol::problem::ErrorCode;
use std::sync::Arc;

/// Part of a session that ends with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The statement; a transaction of the client's goes on.
    Statement,
    /// The request, with all that is open, and the session.
    Request,
}

/// Facts by which the end of a statement ends its transaction, or does not.
#[derive(Debug, Clone, Copy)]
struct Ends {
    /// The statement had a transaction of our own around it.
    wrapped: bool,
    /// An error makes the client's transaction fail.
    fails: bool,
}

impl Ends {
    const PLAIN: Self = Self { wrapped: false, fails: true };
}

/// A session that has its connection.
pub(super) struct Work {
    /// The result that is being read. Before the connection: a result ends before its connection does.
    reading: Option<(Reading, Reply, Scope)>,
    pub executor: Executor,
    /// Why the client's open transaction was rolled back without it; told to its next statement.
    pub lost: Option<QueryError>,
    /// The client's transaction has failed, and the client has not ended it.
    aborted: bool,
    /// The statement that runs is to end a transaction: one that fails to commit is over as well.
    ending: bool,
    pub phase: Phase,
}

/// Where a session is between two statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Something runs, or its result is read.
    Running,
    /// Nothing runs, and everybody knows.
    Resting,
    /// The session ends: nothing runs on it any more.
    Over,
}

impl Work {
    pub fn new(executor: Executor) -> Self {
        Self { reading: None, executor, lost: None, aborted: false, ending: false, phase: Phase::Running }
    }

    /// Whether a result waits for its reader.
    pub const fn is_read(&self) -> bool {
        self.reading.is_some()
    }

    /// Parses SQL into its statements.
    pub fn extract(&mut self, sql: &str) -> Result<Vec<Extracted>, QueryError> {
        let extracted = self.executor.extract(sql);
        self.aborted |= extracted.is_err() && self.executor.has_begun();
        extracted
    }

    /// Binds a statement, which judges it.
    pub fn prepare(&mut self, extracted: Extracted) -> Result<Statement, QueryError> {
        if self.aborted && extracted.kind() != StatementKind::Transaction {
            return Err(aborted());
        }
        // Binding may take long (it computes constants), and sees one state of the database meanwhile.
        self.executor.control.snapshot_taken();
        let judged = self.executor.judge(extracted);
        if !self.executor.in_transaction() {
            self.executor.control.snapshot_released();
        }
        self.aborted |= judged.is_err() && self.executor.has_begun();
        let judged = judged?;
        let writes = self.executor.writes(&judged.prepared);
        Ok(Statement::new(judged.prepared, judged.plan, writes))
    }

    /// Executes a statement, and makes its rows until there is no room for more.
    pub fn execute(&mut self, statement: &Statement, values: &[Value], reply: Reply) {
        self.ending =
            matches!(statement.plan.action, Some(TransactionAction::Commit | TransactionAction::Rollback));
        if self.aborted {
            return self.end_aborted(reply);
        }
        self.executor.through = 1;
        let mut wrapped = false;
        // Whoever waited for its turn may have been given up meanwhile.
        let begun = self.executor.running.check().and_then(|()| {
            wrapped = self.executor.wrap(statement.kind)?;
            self.executor.gate_before_alter(statement.kind)?;
            let mut prepared = statement.prepared.lock().map_err(|_| crashed())?;
            self.executor.execute(&mut prepared, statement.plan, values)
        });
        match begun {
            Ok(begun) => {
                let prepared = Arc::clone(&statement.prepared);
                self.read(
                    Reading::new(begun, prepared.into(), statement.plan.action, wrapped),
                    reply,
                    Scope::Statement,
                );
            }
            Err(error) => self.conclude(Err(error), Ends { wrapped, fails: true }, reply, Scope::Statement),
        }
    }

    /// In a transaction that has failed only its end is executed, and that is a rollback, whatever it was to be.
    fn end_aborted(&mut self, mut reply: Reply) {
        if !self.ending {
            return self.conclude(Err(aborted()), Ends::PLAIN, reply, Scope::Statement);
        }
        self.executor.end_transaction(true);
        self.aborted = false;
        let told = reply.send_header(None);
        self.conclude(told, Ends::PLAIN, reply, Scope::Statement);
    }

    /// Runs a request, and makes its rows until there is no room for more.
    pub fn serve(&mut self, request: &Request, mode: Mode, reply: Reply) {
        match request::run(&mut self.executor, request, mode) {
            Ok(Some(reading)) => self.read(reading, reply, Scope::Request),
            Ok(None) => self.conclude(Ok(()), Ends::PLAIN, reply, Scope::Request),
            Err(error) => self.conclude(Err(error), Ends::PLAIN, reply, Scope::Request),
        }
    }

    fn read(&mut self, reading: Reading, mut reply: Reply, scope: Scope) {
        let told = reply.send_header(reading.stream());
        self.reading = Some((reading, reply, scope));
        match told {
            Ok(()) => self.produce(),
            Err(error) => self.end_reading(Err(error), true),
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
                Ok(Step::End) => self.end_reading(Ok(()), true),
                Err(error) => {
                    // A reader that wants no more stops nothing.
                    let left = reply.is_left() && self.executor.running.stop_cause().is_none();
                    self.end_reading(Err(error), !left);
                }
            }
        }
    }

    /// Ends the result that is read, if there is one; whether an error fails the client's transaction.
    pub fn end_reading(&mut self, result: Result<(), QueryError>, fails: bool) {
        let Some((reading, reply, scope)) = self.reading.take() else { return };
        let (result, wrapped) = reading.end(&mut self.executor, result);
        self.conclude(result, Ends { wrapped, fails }, reply, scope);
    }

    /// Ends a statement or a request, and answers.
    fn conclude(&mut self, result: Result<(), QueryError>, ends: Ends, reply: Reply, scope: Scope) {
        let executor = &mut self.executor;
        let result = match scope {
            Scope::Statement => result.inspect_err(|_| {
                // A transaction in which something failed is its client's to end, whatever is left of it.
                self.aborted |= ends.fails && executor.has_begun() && !self.ending;
                executor.failed(ends.wrapped);
            }),
            Scope::Request => {
                let left_open = executor.end_transaction(result.is_err());
                if left_open { result.and_then(|()| Err(request::left_open())) } else { result }
            }
        };
        let result = result.map_err(|error| error.after(executor.running.commits.statements()));
        if scope == Scope::Request || executor.control.is_closing() || executor.stuck {
            self.phase = Phase::Over;
        }
        let outcome = executor.outcome;
        if scope == Scope::Statement {
            // Whoever has the answer asks whether a transaction is open.
            self.rest();
        }
        reply.finish(result.map(|()| outcome));
    }

    /// Nothing runs any more. What ended in spite of a stop that ends its transaction has not said so: the next statement
    /// does.
    pub fn rest(&mut self) {
        // First: a stop that comes from here on ends what is idle.
        self.executor.running.end();
        let cause = self.executor.running.stop_cause().filter(|cause| cause.ends_transaction());
        if let Some(cause) = cause
            && self.executor.in_transaction()
        {
            self.roll_back(cause);
        }
        self.executor.control.is_idle(self.executor.in_transaction() || self.aborted);
        if self.phase == Phase::Running {
            self.phase = Phase::Resting;
        }
    }

    /// Rolls the client's transaction back; its next statement is told why.
    pub fn roll_back(&mut self, cause: StopCause) {
        self.executor.end_transaction(false);
        if self.executor.stuck {
            self.phase = Phase::Over;
        }
        if !self.aborted {
            self.lost = Some(cause.error());
        }
    }
}

fn aborted() -> QueryError {
    QueryError::with_sqlstate(
        ErrorCode::QueryFailed,
        "25P02",
        "The transaction has failed, and nothing but its end is executed",
    )
    .hint("End it with ROLLBACK")
}

pub(super) fn crashed() -> QueryError {
    QueryError::new(ErrorCode::Internal, "The session met a fault of ours and has ended")
}
