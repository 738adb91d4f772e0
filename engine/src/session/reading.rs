//! A result that is being read, and the statement that it is of.
use super::executor::{Begun, Executor};
use super::reply::{Reply, Sent};
use crate::error::QueryError;
use arrow_array::RecordBatch;
use roost_duckdb::{Prepared, ResultStream, Returns, TransactionAction};
use std::sync::{Arc, Mutex};

/// A statement that is executed, in a session that keeps it or not: it lives as long as its result.
#[expect(dead_code, reason = "it is held, not looked at")]
pub(super) struct Executed(Arc<Mutex<Prepared>>);

impl From<Prepared> for Executed {
    fn from(prepared: Prepared) -> Self {
        Self(Arc::new(Mutex::new(prepared)))
    }
}

impl From<Arc<Mutex<Prepared>>> for Executed {
    fn from(prepared: Arc<Mutex<Prepared>>) -> Self {
        Self(prepared)
    }
}

/// A result that is being read.
pub(super) struct Reading {
    /// Declared before the statement that made it, so that it is dropped first.
    stream: Option<ResultStream>,
    _statement: Executed,
    action: Option<TransactionAction>,
    /// We have put the statement into a transaction of its own.
    wrapped: bool,
    commits: bool,
    /// A batch for which there was no room.
    waits: Option<RecordBatch>,
}

/// Result of a try to send the next rows.
pub(super) enum Step {
    /// So many rows were sent.
    Sent(u64),
    /// There is no room for those that are made.
    Full,
    /// There are no more.
    End,
}

impl Reading {
    pub fn new(begun: Begun, statement: Executed, action: Option<TransactionAction>, wrapped: bool) -> Self {
        let Begun { stream, commits } = begun;
        Self { stream, _statement: statement, action, wrapped, commits, waits: None }
    }

    /// Gives DuckDB's result; none where we executed something of our own in its place.
    pub fn stream(&self) -> Option<&ResultStream> {
        self.stream.as_ref()
    }

    /// Makes the next rows and sends them.
    pub fn step(&mut self, executor: &Executor, reply: &Reply) -> Result<Step, QueryError> {
        let Some(stream) = &mut self.stream else { return Ok(Step::End) };
        let batch = match self.waits.take() {
            Some(batch) => Some(batch),
            None => stream.next().map_err(|error| executor.error_of(error, self.commits))?,
        };
        let Some(batch) = batch else { return Ok(Step::End) };
        if stream.returns() == Returns::Nothing {
            return executor.running.check().map(|()| Step::Sent(0));
        }
        let rows = batch.num_rows() as u64;
        Ok(match reply.send(batch, &executor.running, executor.control.runtime())? {
            Sent::Gone => Step::Sent(rows),
            Sent::Waits(batch) => {
                self.waits = Some(batch);
                Step::Full
            }
        })
    }

    /// The result was read, or what there was of it before it failed: ends it, and with it its statement. Also whether the
    /// statement has a transaction of our own.
    pub fn end(
        self,
        executor: &mut Executor,
        result: Result<(), QueryError>,
    ) -> (Result<(), QueryError>, bool) {
        let Self { stream, _statement, action, wrapped, .. } = self;
        if result.is_ok() {
            executor.outcome.rows_changed = stream.as_ref().and_then(ResultStream::rows_changed);
        }
        drop(stream);
        (result.and_then(|()| executor.executed(wrapped, action)), wrapped)
    }
}
