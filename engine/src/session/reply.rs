//! An answer on its way from the thread that makes it to its reader.
use super::outcome::Outcome;
use super::running::Running;
use super::statement::Column;
use super::stop_cause::StopCause;
use crate::config::LINGER;
use crate::error::QueryError;
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use roost_duckdb::{ResultStream, Returns};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// Header of a result, which its reader gets first.
pub(super) struct Header {
    pub columns: Vec<Column>,
    pub schema: SchemaRef,
}

impl Header {
    /// Of a result without rows.
    pub fn empty() -> Self {
        Self { columns: Vec::new(), schema: Arc::new(Schema::empty()) }
    }
}

/// Whether a thread makes rows. The reader asks for one when it made room and there is none.
#[derive(Default)]
pub(super) struct Producing(Mutex<bool>);

impl Producing {
    /// A thread begins, unless there is one.
    pub fn begin(&self) -> bool {
        !std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), true)
    }

    /// The thread is given back, unless there is room again.
    fn pause(&self, batches: &mpsc::Sender<RecordBatch>) -> bool {
        let mut producing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *producing = batches.capacity() > 0 || batches.is_closed();
        !*producing
    }
}

/// Where an answer goes.
pub(super) struct Reply {
    pub header: Option<oneshot::Sender<Result<Header, QueryError>>>,
    pub batches: mpsc::Sender<RecordBatch>,
    /// The outcome, or the error that ended it; the reader looks here after the last batch.
    pub end: oneshot::Sender<Result<Outcome, QueryError>>,
    pub producing: Arc<Producing>,
}

/// Result of sending a batch.
pub(super) enum Sent {
    /// It is on its way.
    Gone,
    /// There is no room for it.
    Waits(RecordBatch),
}

impl Reply {
    /// Says what the columns are.
    pub fn send_header(&mut self, stream: Option<&ResultStream>) -> Result<(), QueryError> {
        let header = match stream.filter(|stream| stream.returns() != Returns::Nothing) {
            Some(stream) => {
                Header { columns: stream.columns().iter().map(Column::of).collect(), schema: stream.schema() }
            }
            None => Header::empty(),
        };
        let sent = self.header.take().is_none_or(|sender| sender.send(Ok(header)).is_ok());
        if sent { Ok(()) } else { Err(StopCause::ReaderLeft.error()) }
    }

    /// Sends one batch when there is room soon, unless it has to stop before.
    pub fn send(&self, batch: RecordBatch, running: &Running, runtime: &Handle) -> Result<Sent, QueryError> {
        // Room is used even by what is told to stop: what it did is done, and DuckDB stops by itself.
        let batch = match self.batches.try_send(batch) {
            Ok(()) => return Ok(Sent::Gone),
            Err(TrySendError::Closed(_)) => return Err(StopCause::ReaderLeft.error()),
            Err(TrySendError::Full(batch)) => batch,
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                cause = running.stopped() => Err(cause.error()),
                room = self.batches.reserve() => match room {
                    Ok(room) => {
                        room.send(batch);
                        Ok(Sent::Gone)
                    }
                    Err(_) => Err(StopCause::ReaderLeft.error()),
                },
                () = tokio::time::sleep(LINGER) => Ok(Sent::Waits(batch)),
            }
        })
    }

    /// Whether its reader wants no more.
    pub fn is_left(&self) -> bool {
        self.batches.is_closed()
    }

    /// Whether the thread is to be given back: nobody makes room now.
    pub fn pause(&self) -> bool {
        self.producing.pause(&self.batches)
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
                    let _ = header.send(Ok(Header::empty()));
                }
            }
        }
    }
}
