//! The result of a request as its reader sees it.
use crate::error::QueryError;
use crate::running::{Running, StopCause};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Column {
    /// Name; not necessarily unique.
    pub name: String,
    /// DuckDB's text of the type (`DECIMAL(18,3)`); encoders decode by it.
    pub logical_type: String,
}

/// What a request did, known after its last batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that the last statement inserted, updated or deleted; none for other statements.
    pub rows_changed: Option<u64>,
    /// Rows that were streamed.
    pub rows_returned: u64,
    /// Whether a transaction of this request that modified the tenant's database was committed.
    pub committed_writes: bool,
}

/// A request's result. At most [`crate::STREAM_DEPTH`] batches are made ahead of the reader.
/// Dropping it before the end interrupts the query and rolls back what it had not committed.
pub struct QueryStream {
    /// Columns of the last statement's result; empty when it has none.
    pub columns: Vec<Column>,
    /// Arrow schema of the batches.
    pub schema: SchemaRef,
    pub(crate) batches: mpsc::Receiver<RecordBatch>,
    pub(crate) end: oneshot::Receiver<Result<Outcome, QueryError>>,
    pub(crate) running: Arc<Running>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) ended: bool,
}

impl QueryStream {
    /// The next batch; `None` once everything was committed and all rows were given. An error is the last item.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.ended {
            return None;
        }
        let end = tokio::select! {
            biased;
            batch = self.batches.recv() => match batch {
                Some(batch) => return Some(Ok(batch)),
                None => None,
            },
            error = self.running.given_up() => Some(Err(error)),
        };
        let end = match end {
            Some(given_up) => given_up,
            None => self.running.end(&mut self.end).await,
        };
        self.ended = true;
        match end {
            Ok(outcome) => {
                self.outcome = Some(outcome);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Whether it has committed something, or may yet.
    pub fn may_have_committed(&self) -> bool {
        self.running.commits.is_writing() || self.running.commits.statements().is_some()
    }

    /// Stops the request if it has not ended, waits until it can commit nothing more, and says how many of its
    /// statements, from the first, are executed and committed; none if it has committed nothing.
    pub async fn stop(&mut self) -> Option<u32> {
        if !self.ended {
            self.running.stop(StopCause::ReaderLeft);
            self.batches.close();
            self.ended = true;
            // How it ended is of no interest any more.
            let _ = self.running.end(&mut self.end).await;
        }
        self.running.commits.statements()
    }

    /// What the request did; known once [`Self::next`] gave `None` without an error.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }
}

impl Drop for QueryStream {
    fn drop(&mut self) {
        if !self.ended {
            self.running.stop(StopCause::ReaderLeft);
        }
    }
}
