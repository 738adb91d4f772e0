//! One request on its own connection and thread: statements in order, the last one's result streamed.
use crate::client_connection::ClientConnection;
use crate::error::QueryError;
use crate::gate::GateHold;
use crate::guard::CHANGED_WHILE_PREPARED;
use crate::instance::Instance;
use crate::mutation::{Mutation, broken};
use crate::parameters::{bind, check_form};
use crate::request::QueryRequest;
use crate::running::{Running, StopCause};
use crate::stream::{Column, Outcome};
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use roost_duckdb::{EngineError, ErrorKind, Extracted, Prepared, ResultStream, Returns};
use roost_duckdb::{StatementKind, TransactionAction};
use roost_protocol::problem::ErrorCode;
use roost_protocol::session::Role;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// What a reader gets first.
pub(crate) struct Header {
    pub columns: Vec<Column>,
    pub schema: SchemaRef,
}

/// How the statements of a request hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As the client wrote them; the last result is streamed.
    Query,
    /// All in one transaction, results dropped, transaction statements refused.
    Script,
}

/// Where the answer goes.
pub(crate) struct Reply {
    pub header: Option<oneshot::Sender<Result<Header, QueryError>>>,
    pub batches: mpsc::Sender<RecordBatch>,
    /// How it ended; the reader looks here after the last batch.
    pub end: oneshot::Sender<Result<Outcome, QueryError>>,
}

/// A session: a connection, what it holds, and where its answer goes.
pub(crate) struct Session {
    shared: Arc<Instance>,
    running: Arc<Running>,
    runtime: Handle,
    connection: ClientConnection,
    role: Role,
    reply: Option<Reply>,
    hold: Option<GateHold>,
    /// The client's own BEGIN is open.
    in_transaction: bool,
    /// Nothing has run in the transaction yet (it may be begun anew while it waits for the gate).
    fresh: bool,
    /// Statements of the request that are executed once the present one is.
    through: usize,
    outcome: Outcome,
}

impl Session {
    /// A session on a connection that nobody used, placed in the tenant's database.
    pub fn open(
        shared: Arc<Instance>,
        running: Arc<Running>,
        runtime: Handle,
        role: Role,
        reply: Reply,
    ) -> Result<Self, Box<(QueryError, Reply)>> {
        let connection = match shared.client_connection() {
            Ok(connection) => connection,
            Err(error) => return Err(Box::new((shared.query_error(error), reply))),
        };
        connection.belongs_to(role);
        running.connected(connection.interrupt_handle());
        let outcome = Outcome { rows_changed: None, rows_returned: 0, committed_writes: false };
        Ok(Self {
            shared,
            running,
            runtime,
            connection,
            role,
            reply: Some(reply),
            hold: None,
            in_transaction: false,
            fresh: false,
            through: 0,
            outcome,
        })
    }

    /// Runs the request to its end and answers.
    pub fn serve(mut self, request: &QueryRequest, mode: Mode) {
        let result = self.run(request, mode);
        let result = self.finish(result);
        let result = result.map_err(|error| error.after(self.running.commits.statements()));
        let outcome = self.outcome;
        if let Some(reply) = self.reply.take() {
            reply.finish(result.map(|()| outcome));
        }
    }

    fn send(&self, batch: RecordBatch) -> Result<(), QueryError> {
        self.reply.as_ref().map_or(Ok(()), |reply| reply.send(batch, &self.running, &self.runtime))
    }

    fn run(&mut self, request: &QueryRequest, mode: Mode) -> Result<(), QueryError> {
        self.check_stopped()?;
        let statements =
            self.connection.extract(&request.sql).map_err(|error| self.shared.query_error(error))?;
        check_form(&statements, request)?;
        if mode == Mode::Script {
            self.command("BEGIN TRANSACTION")?;
            self.in_transaction = true;
            self.fresh = true;
            self.shared.activity.transaction_opened();
        }
        let mut statements = statements.into_iter().peekable();
        while let Some(statement) = statements.next() {
            self.check_stopped()?;
            let (source, next) = (statement.source(), statements.peek());
            let (last, whole) = (next.is_none(), next.is_none_or(|next| next.source() != source));
            self.through = if whole { source + 1 } else { source };
            if mode == Mode::Script && statement.kind() == StatementKind::Transaction {
                return Err(QueryError::with_sqlstate(
                    ErrorCode::StatementNotAllowed,
                    "25001",
                    "A script runs in one transaction; it may not begin or end transactions",
                ));
            }
            self.statement(statement, request, mode == Mode::Query && last)?;
        }
        if mode == Mode::Script {
            self.running.settle();
            self.check_stopped()?;
            self.command("COMMIT")?;
            self.transaction_over(true);
        }
        Ok(())
    }

    /// Ends what is still open, and only then gives the gate back: an abandoned stream, too, keeps its transaction
    /// until DuckDB is told otherwise.
    fn finish(&mut self, result: Result<(), QueryError>) -> Result<(), QueryError> {
        self.running.settle();
        let open = self.connection.in_transaction();
        if open || result.is_err() {
            self.roll_back(open);
        }
        self.transaction_over(false);
        result?;
        if open {
            return Err(QueryError::new(
                ErrorCode::TransactionLeftOpen,
                "A transaction was open at the end of the request; it was rolled back",
            )
            .hint("End it with COMMIT in the same request"));
        }
        Ok(())
    }

    fn roll_back(&mut self, open: bool) {
        match self.connection.run("ROLLBACK") {
            Ok(()) => {}
            // Outside of an explicit transaction ROLLBACK is an error, but starting it has ended the stream.
            Err(error) if !open && error.kind == ErrorKind::Transaction => {}
            Err(error) => {
                tracing::warn!(%error, "rolling back at the end of a session failed");
                self.shared.note(&error);
            }
        }
    }

    /// Prepares (which judges), takes the gate if it modifies, executes.
    fn statement(
        &mut self,
        extracted: Extracted,
        request: &QueryRequest,
        last: bool,
    ) -> Result<(), QueryError> {
        let is_transaction = extracted.kind() == StatementKind::Transaction;
        self.running.snapshot_taken();
        let wrapped = self.role == Role::ReadOnly && !is_transaction && !self.connection.in_transaction();
        if wrapped {
            self.command("BEGIN TRANSACTION READ ONLY")?;
        }
        self.shared.guard.preparing(self.connection.id());
        let prepared = self.connection.prepare(extracted);
        let mut prepared = prepared.map_err(|error| self.error(error))?;
        bind(&mut prepared, request).map_err(|error| error.unwrap_or_else(|error| self.error(error)))?;
        let action = self.shared.guard.transaction_action(self.connection.id()).filter(|_| is_transaction);
        let writes = self.writes(&prepared);
        if writes && self.hold.is_none() {
            self.hold = Some(self.take_gate()?);
            self.running.commits.writing();
            // Whoever gave this request up before has told that nothing more of it is committed.
            self.check_stopped()?;
        }
        let commits = action == Some(TransactionAction::Commit) || !self.connection.in_transaction();
        if action == Some(TransactionAction::Begin) && self.role == Role::ReadOnly {
            drop(prepared);
            self.command("BEGIN TRANSACTION READ ONLY")?;
            if last {
                self.send_header(None)?;
            }
        } else {
            self.shared.guard.executing(self.connection.id(), self.hold.is_some());
            if action == Some(TransactionAction::Commit) {
                // An interrupt that meets a commit would report what is committed as failed.
                self.running.settle();
                self.check_stopped()?;
            }
            let executed = prepared.execute_stream();
            let stream = executed.map_err(|error| self.error_of(error, commits))?;
            if !prepared.streams() && !self.connection.in_transaction() {
                // All of it is done and committed; a reader of its rows that pauses holds nobody up.
                self.running.commits.executed(self.through);
                self.transaction_over(action != Some(TransactionAction::Rollback));
            }
            self.drain(stream, last, commits)?;
        }
        if wrapped {
            self.command("COMMIT")?;
        }
        self.running.unsettle();
        self.after_statement(action);
        Ok(())
    }

    /// Takes the gate for this transaction. One that has to wait lets go of what it sees of the database, as far as
    /// it can: an old state in use keeps the checkpoint, for which the gate is closed, from running.
    fn take_gate(&mut self) -> Result<GateHold, QueryError> {
        if let Some(hold) = self.shared.try_gate(&self.running)? {
            return Ok(hold);
        }
        let open = self.connection.in_transaction();
        if open && self.fresh {
            self.command("ROLLBACK")?;
        }
        if !open || self.fresh {
            self.running.snapshot_released();
        }
        let hold = self.shared.wait_for_gate(&self.running, &self.runtime)?;
        self.running.snapshot_taken();
        if open && self.fresh {
            self.command("BEGIN TRANSACTION")?;
        }
        Ok(hold)
    }

    /// Whether executing may modify the tenant's database.
    fn writes(&self, prepared: &Prepared) -> bool {
        if self.role == Role::ReadOnly {
            return false;
        }
        !prepared.is_complete()
            || matches!(prepared.kind(), StatementKind::Vacuum | StatementKind::Analyze)
            || prepared.modified_databases().iter().any(|name| *name == self.shared.database)
    }

    /// Notes what the statement did to the transaction, and gives the gate back when none is open.
    fn after_statement(&mut self, action: Option<TransactionAction>) {
        let open = self.connection.in_transaction();
        self.fresh = action == Some(TransactionAction::Begin);
        if open && !self.in_transaction {
            self.in_transaction = true;
            self.shared.activity.transaction_opened();
        }
        if broken(Mutation::GatePerStatement) {
            self.hold = None;
        }
        if !open {
            self.running.snapshot_released();
            self.running.commits.executed(self.through);
            self.transaction_over(action != Some(TransactionAction::Rollback));
        }
    }

    fn transaction_over(&mut self, committed: bool) {
        if std::mem::take(&mut self.in_transaction) {
            self.shared.activity.transaction_ended();
        }
        if let Some(hold) = self.hold.take() {
            self.outcome.committed_writes |= committed;
            self.running.commits.over(committed);
            drop(hold);
        }
    }

    /// Reads a result to its end, handing the last one's rows on.
    fn drain(&mut self, mut stream: ResultStream, last: bool, commits: bool) -> Result<(), QueryError> {
        if last {
            self.send_header(Some(&stream))?;
        }
        let visible = last && stream.returns() != Returns::Nothing;
        while let Some(batch) = stream.next().map_err(|error| self.error_of(error, commits))? {
            if visible {
                self.outcome.rows_returned += batch.num_rows() as u64;
                self.send(batch)?;
            } else {
                self.check_stopped()?;
            }
        }
        if last {
            self.outcome.rows_changed = stream.rows_changed();
        }
        Ok(())
    }

    fn send_header(&mut self, stream: Option<&ResultStream>) -> Result<(), QueryError> {
        let header = match stream.filter(|stream| stream.returns() != Returns::Nothing) {
            Some(stream) => Header {
                columns: stream
                    .columns()
                    .iter()
                    .map(|column| Column {
                        name: column.name.clone(),
                        logical_type: column.logical_type.clone(),
                    })
                    .collect(),
                schema: stream.schema(),
            },
            None => Header { columns: Vec::new(), schema: Arc::new(Schema::empty()) },
        };
        let sender = self.reply.as_mut().and_then(|reply| reply.header.take());
        let sent = sender.is_none_or(|sender| sender.send(Ok(header)).is_ok());
        if sent { Ok(()) } else { Err(StopCause::ReaderLeft.error()) }
    }

    /// A statement of our own on the client's connection.
    fn command(&mut self, sql: &str) -> Result<(), QueryError> {
        self.shared.guard.preparing(self.connection.id());
        self.shared.guard.executing(self.connection.id(), self.hold.is_some());
        self.connection.run(sql).map_err(|error| self.error(error))
    }

    fn check_stopped(&self) -> Result<(), QueryError> {
        self.running.stop_cause().map_or(Ok(()), |cause| Err(cause.error()))
    }

    /// The error of a statement, which `commits` what it changes. One that killed the engine may have come when that was
    /// done already.
    fn error_of(&self, error: EngineError, commits: bool) -> QueryError {
        let fatal = matches!(error.kind, ErrorKind::Fatal | ErrorKind::Internal);
        let mut error = self.error(error);
        error.commit_unknown = fatal && commits && self.hold.is_some();
        error
    }

    /// DuckDB's error, or why the request was stopped if that is what broke it.
    fn error(&self, error: EngineError) -> QueryError {
        if let (ErrorKind::Interrupt, Some(cause)) = (error.kind, self.running.stop_cause()) {
            return cause.error();
        }
        if error.extra.get("refusal").is_some_and(|code| code == CHANGED_WHILE_PREPARED) {
            return QueryError::new(ErrorCode::TransactionConflict, error.message);
        }
        self.shared.query_error(error)
    }
}

impl Reply {
    /// Sends one batch when there is room, unless the request is stopped before.
    fn send(&self, batch: RecordBatch, running: &Running, runtime: &Handle) -> Result<(), QueryError> {
        // Room is used even by a request that is told to stop: what it did is done, and DuckDB stops by itself.
        let batch = match self.batches.try_send(batch) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(StopCause::ReaderLeft.error()),
            Err(TrySendError::Full(batch)) => batch,
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                cause = running.stopped() => Err(cause.error()),
                sent = self.batches.send(batch) => sent.map_err(|_| StopCause::ReaderLeft.error()),
            }
        })
    }

    /// Says how it ended: in place of the header if none was sent. Never waits for the reader.
    pub fn finish(mut self, result: Result<Outcome, QueryError>) {
        match (self.header.take(), result) {
            (Some(header), Err(error)) => {
                let _ = header.send(Err(error));
            }
            (header, result) => {
                let _ = self.end.send(result);
                if let Some(header) = header {
                    let _ =
                        header.send(Ok(Header { columns: Vec::new(), schema: Arc::new(Schema::empty()) }));
                }
            }
        }
    }
}
