//! Statements on a session's connection: their transaction, its share of the gate, what of it is committed. Blocks.
mod gate;

use super::client_connection::ClientConnection;
use super::control::Control;
use super::outcome::Outcome;
use super::parameters::bind;
use super::running::Running;
use super::stop_cause::StopCause;
use crate::error::QueryError;
use crate::gate::{GateClosure, GateHold};
use crate::guard::CHANGED_WHILE_PREPARED;
use crate::instance::Instance;
use crate::mutation::{Mutation, broken};
use roost_duckdb::{EngineError, ErrorKind, Extracted, Prepared, ResultStream};
use roost_duckdb::{StatementKind, TransactionAction, Value};
use roost_protocol::problem::ErrorCode;
use roost_protocol::session::Role;
use std::sync::Arc;

/// Executes one session's statements, one after the other.
pub(super) struct Executor {
    pub shared: Arc<Instance>,
    pub control: Arc<Control>,
    /// The statement or request that runs, or ran last.
    pub running: Arc<Running>,
    /// Before the hold: the gate is given back after DuckDB has ended the transaction.
    connection: ClientConnection,
    hold: Option<GateHold>,
    /// The gate is closed to everybody else: this transaction has made an index or changed a type.
    alone: Option<GateClosure>,
    role: Role,
    /// The client's own transaction, from its BEGIN on.
    own: Option<Access>,
    /// Nothing has run in the transaction yet (it may be begun anew while it waits for the gate).
    fresh: bool,
    /// Statements of what runs that are executed once the present one is.
    pub through: usize,
    pub outcome: Outcome,
    /// A transaction could not be rolled back: it ends with the connection, and so must the session.
    pub stuck: bool,
}

/// Access of a transaction to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
}

/// A statement that was judged.
pub(super) struct Judged {
    pub prepared: Prepared,
    pub plan: Plan,
}

/// Facts about a statement that judging it has shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Its effect on the transaction, if it is BEGIN, COMMIT or ROLLBACK.
    pub action: Option<TransactionAction>,
    /// It makes an index over rows that others see, or changes a type of theirs.
    runs_alone: bool,
}

/// A statement that was begun.
pub(super) struct Begun {
    /// Its result; none where we executed something of our own in its place.
    pub stream: Option<ResultStream>,
    /// Whether what it changes is committed with it.
    pub commits: bool,
}

impl Executor {
    /// On a connection that nobody used, placed in the tenant's database.
    pub fn new(
        shared: Arc<Instance>,
        control: Arc<Control>,
        running: Arc<Running>,
        role: Role,
    ) -> Result<Self, QueryError> {
        let connection = shared.client_connection().map_err(|error| shared.query_error(error))?;
        connection.belongs_to(role);
        control.connected(connection.interrupt_handle());
        Ok(Self {
            shared,
            control,
            running,
            connection,
            hold: None,
            alone: None,
            role,
            own: None,
            fresh: false,
            through: 0,
            outcome: Outcome::default(),
            stuck: false,
        })
    }

    /// Something begins to run. A transaction that writes may be committed by it.
    pub fn begin(&mut self, running: Arc<Running>) {
        if self.hold.is_some() {
            running.commits.writing();
        }
        running.unsettle();
        self.running = running;
        self.outcome = Outcome::default();
        self.through = 0;
    }

    /// Whether DuckDB has a transaction open, which may have failed.
    pub fn in_transaction(&self) -> bool {
        self.connection.in_transaction()
    }

    /// Whether the client has begun a transaction, and nothing has ended it that the client knows of.
    pub const fn has_begun(&self) -> bool {
        self.own.is_some()
    }

    /// Parses SQL into its statements.
    pub fn extract(&mut self, sql: &str) -> Result<Vec<Extracted>, QueryError> {
        self.connection.extract(sql).map_err(|error| self.shared.query_error(error))
    }

    /// Begins our own transaction for all statements of a script.
    pub fn begin_transaction(&mut self) -> Result<(), QueryError> {
        self.command("BEGIN TRANSACTION")?;
        self.own = Some(Access::ReadWrite);
        self.fresh = true;
        self.shared.activity.transaction_opened();
        Ok(())
    }

    /// Commits the transaction of a script.
    pub fn commit_transaction(&mut self) -> Result<(), QueryError> {
        self.running.settle();
        self.running.check()?;
        self.command("COMMIT")?;
        self.transaction_over(true);
        Ok(())
    }

    /// Puts a reader's statement into a READ ONLY transaction of its own. True if it was.
    pub fn wrap(&mut self, kind: StatementKind) -> Result<bool, QueryError> {
        self.control.snapshot_taken();
        let is_transaction = kind == StatementKind::Transaction;
        let wrapped = self.role == Role::ReadOnly && !is_transaction && !self.connection.in_transaction();
        if wrapped {
            self.command("BEGIN TRANSACTION READ ONLY")?;
        }
        Ok(wrapped)
    }

    /// Binds a statement, which judges it.
    pub fn judge(&mut self, extracted: Extracted) -> Result<Judged, QueryError> {
        let is_transaction = extracted.kind() == StatementKind::Transaction;
        self.shared.guard.preparing(self.connection.id());
        let prepared = self.connection.prepare(extracted).map_err(|error| self.error(error))?;
        let guard = &self.shared.guard;
        let action = guard.transaction_action(self.connection.id()).filter(|_| is_transaction);
        let runs_alone = guard.runs_alone(self.connection.id());
        Ok(Judged { prepared, plan: Plan { action, runs_alone } })
    }

    /// Takes the gate if the statement modifies, and executes it up to its first rows.
    pub fn execute(
        &mut self,
        prepared: &mut Prepared,
        Plan { action, runs_alone }: Plan,
        values: &[Value],
    ) -> Result<Begun, QueryError> {
        bind(prepared, values).map_err(|error| error.unwrap_or_else(|error| self.error(error)))?;
        self.check_transaction(action, prepared)?;
        if self.writes(prepared) {
            self.hold_gate()?;
        }
        if runs_alone {
            self.write_alone()?;
        }
        let commits = action == Some(TransactionAction::Commit) || !self.connection.in_transaction();
        if action == Some(TransactionAction::Begin) && self.role == Role::ReadOnly {
            self.command("BEGIN TRANSACTION READ ONLY")?;
            return Ok(Begun { stream: None, commits });
        }
        self.shared.guard.executing(self.connection.id(), self.hold.is_some());
        if action == Some(TransactionAction::Commit) {
            // An interrupt that meets a commit would report what is committed as failed.
            self.running.settle();
            self.running.check()?;
        }
        let executed = prepared.execute_stream();
        if runs_alone {
            self.shared.ran_alone();
        }
        let stream = executed.map_err(|error| self.error_of(error, commits))?;
        if !prepared.streams() && !self.connection.in_transaction() {
            // All of it is done and committed; a reader of its rows that pauses holds nobody up.
            self.running.commits.executed(self.through);
            self.transaction_over(action != Some(TransactionAction::Rollback));
        }
        Ok(Begun { stream: Some(stream), commits })
    }

    /// Refuses what does not go with the transaction that is open, or not: DuckDB takes it for a conflict, which goes away
    /// when it is tried again.
    fn check_transaction(
        &self,
        action: Option<TransactionAction>,
        prepared: &Prepared,
    ) -> Result<(), QueryError> {
        let open = self.own.is_some() || self.connection.in_transaction();
        let (sqlstate, message, hint) = match action {
            Some(TransactionAction::Begin | TransactionAction::BeginReadOnly) if open => {
                ("25001", "A transaction is open already", "COMMIT it or roll it back before the next BEGIN")
            }
            Some(TransactionAction::Commit | TransactionAction::Rollback) if !open => (
                "25P01",
                "No transaction is open that could be ended",
                "BEGIN, what belongs together, and COMMIT go into one request: the next one is another session",
            ),
            None if self.own == Some(Access::ReadOnly) && self.writes(prepared) => (
                "25006",
                "The transaction was begun READ ONLY, and the statement writes",
                "Begin it without READ ONLY",
            ),
            _ => return Ok(()),
        };
        Err(QueryError::with_sqlstate(ErrorCode::QueryFailed, sqlstate, message).hint(hint))
    }

    /// Whether executing may modify the tenant's database.
    pub fn writes(&self, prepared: &Prepared) -> bool {
        if self.role == Role::ReadOnly {
            return false;
        }
        !prepared.is_complete()
            || matches!(prepared.kind(), StatementKind::Vacuum | StatementKind::Analyze)
            || prepared.modified_databases().iter().any(|name| *name == self.shared.database)
    }

    /// A statement was executed and its result read: notes what it did to the transaction, and gives the gate back when
    /// none is open.
    pub fn executed(&mut self, wrapped: bool, action: Option<TransactionAction>) -> Result<(), QueryError> {
        if wrapped {
            self.command("COMMIT")?;
        }
        self.running.unsettle();
        let open = self.connection.in_transaction();
        self.fresh = action == Some(TransactionAction::Begin);
        if self.fresh {
            // DuckDB looks at the database only when the transaction does something.
            self.control.snapshot_released();
        }
        if open && self.own.is_none() {
            let reads_only = action == Some(TransactionAction::BeginReadOnly);
            self.own = Some(if reads_only { Access::ReadOnly } else { Access::ReadWrite });
            self.shared.activity.transaction_opened();
        }
        if broken(Mutation::GatePerStatement) {
            self.hold = None;
        }
        if !open {
            self.control.snapshot_released();
            self.running.commits.executed(self.through);
            self.transaction_over(action != Some(TransactionAction::Rollback));
        }
        Ok(())
    }

    /// Ends what is still open, and only then gives the gate back: an abandoned result, too, keeps its transaction
    /// until DuckDB is told otherwise. True if a transaction was open.
    pub fn end_transaction(&mut self, failed: bool) -> bool {
        self.running.settle();
        let open = self.connection.in_transaction();
        if open || failed {
            self.roll_back(open);
        }
        self.stuck |= self.connection.in_transaction();
        if !self.stuck {
            self.control.snapshot_released();
            self.transaction_over(false);
        }
        open
    }

    /// A statement of a session failed: outside of a transaction nothing is left of it; the client's transaction stays
    /// for the client to end, unless it had to end.
    pub fn failed(&mut self, wrapped: bool) {
        self.fresh = false;
        let ends = self.running.stop_cause().is_some_and(StopCause::ends_transaction);
        if wrapped || ends || !self.connection.in_transaction() {
            self.end_transaction(true);
        } else {
            self.running.settle();
        }
    }

    fn roll_back(&mut self, open: bool) {
        match self.connection.run("ROLLBACK") {
            Ok(()) => {}
            // Outside of an explicit transaction ROLLBACK is an error, but starting it has ended the stream.
            Err(error) if !open && error.kind == ErrorKind::Transaction => {}
            Err(error) => {
                tracing::warn!(%error, "a transaction could not be rolled back");
                self.shared.note(&error);
            }
        }
    }

    fn transaction_over(&mut self, committed: bool) {
        if self.own.take().is_some() {
            self.shared.activity.transaction_ended();
        }
        if let Some(hold) = self.hold.take() {
            self.outcome.committed_writes |= committed;
            if committed {
                self.shared.wrote();
            }
            self.running.commits.over(committed);
            drop(hold);
        }
        self.alone = None;
    }

    /// A statement of our own on the client's connection.
    fn command(&mut self, sql: &str) -> Result<(), QueryError> {
        self.shared.guard.preparing(self.connection.id());
        self.shared.guard.executing(self.connection.id(), self.hold.is_some());
        self.connection.run(sql).map_err(|error| self.error(error))
    }

    /// The error of a statement, which `commits` what it changes. One that killed the engine may have come when that was
    /// done already.
    pub fn error_of(&self, error: EngineError, commits: bool) -> QueryError {
        let fatal = matches!(error.kind, ErrorKind::Fatal | ErrorKind::Internal);
        let mut error = self.error(error);
        error.commit_unknown = fatal && commits && self.hold.is_some();
        error
    }

    /// DuckDB's error, or why this was stopped if that is what broke it.
    pub fn error(&self, error: EngineError) -> QueryError {
        if let (ErrorKind::Interrupt, Some(cause)) = (error.kind, self.running.stop_cause()) {
            return cause.error();
        }
        if error.extra.get("refusal").is_some_and(|code| code == CHANGED_WHILE_PREPARED) {
            return QueryError::new(ErrorCode::TransactionConflict, error.message);
        }
        self.shared.query_error(error)
    }
}

impl Drop for Executor {
    /// The connection's transaction ends with it.
    fn drop(&mut self) {
        if self.own.is_some() {
            self.shared.activity.transaction_ended();
        }
    }
}
