//! The result of a statement or a request as its reader sees it.
use super::control::Control;
use super::outcome::Outcome;
use super::reply::{Header, Producing, Reply};
use super::running::Running;
use super::shared_work::SharedWork;
use super::statement::Column;
use super::stop_cause::StopCause;
use crate::config::STREAM_DEPTH;
use crate::error::QueryError;
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use roost_protocol::problem::ErrorCode;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A result. At most [`STREAM_DEPTH`] batches are made ahead of the reader, by a thread that is borrowed while there is
/// room. Dropping it before the end interrupts the statement; what a request had not committed is rolled back.
pub struct RowStream {
    /// Columns of the result; empty when it has none.
    pub columns: Vec<Column>,
    /// Arrow schema of the batches.
    pub schema: SchemaRef,
    batches: mpsc::Receiver<RecordBatch>,
    end: oneshot::Receiver<Result<Outcome, QueryError>>,
    producing: Arc<Producing>,
    work: Arc<SharedWork>,
    control: Arc<Control>,
    running: Arc<Running>,
    outcome: Option<Outcome>,
    ended: bool,
}

impl RowStream {
    /// The two ends of an answer. Dropping the stream stops what runs, from now on.
    pub(super) fn begin(
        work: Arc<SharedWork>,
        control: Arc<Control>,
        running: Arc<Running>,
    ) -> (Self, Reply, oneshot::Receiver<Result<Header, QueryError>>) {
        let (header, header_comes) = oneshot::channel();
        let (sender, batches) = mpsc::channel(STREAM_DEPTH);
        let (end, end_comes) = oneshot::channel();
        let producing = Arc::<Producing>::default();
        producing.begin();
        let reply = Reply { header: Some(header), batches: sender, end, producing: Arc::clone(&producing) };
        let stream = Self {
            columns: Vec::new(),
            schema: Arc::new(Schema::empty()),
            batches,
            end: end_comes,
            producing,
            work,
            control,
            running,
            outcome: None,
            ended: false,
        };
        (stream, reply, header_comes)
    }

    /// Waits until the columns are known.
    pub(super) async fn begun(
        mut self,
        mut header: oneshot::Receiver<Result<Header, QueryError>>,
    ) -> Result<Self, QueryError> {
        match self.running.answer(&mut header).await {
            Ok(Header { columns, schema }) => {
                (self.columns, self.schema) = (columns, schema);
                Ok(self)
            }
            Err(error) => {
                self.ended = true;
                Err(error)
            }
        }
    }

    /// The next batch; `None` once all rows were given, and what the statement or request did is committed unless a
    /// transaction of the client's is open. An error is the last item.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.ended {
            return None;
        }
        let end = tokio::select! {
            biased;
            batch = self.batches.recv() => match batch {
                Some(batch) => {
                    self.make_more();
                    return Some(Ok(batch));
                }
                None => None,
            },
            error = self.running.given_up() => Some(Err(error)),
        };
        let end = match end {
            Some(given_up) => given_up,
            None => self.running.answer(&mut self.end).await,
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

    /// There is room: borrows a thread, if none makes rows.
    fn make_more(&self) {
        if self.batches.is_closed() || !self.producing.begin() {
            return;
        }
        let work = Arc::clone(&self.work);
        if let Err(error) = self.control.threads().run(move || work.produce()) {
            tracing::warn!(%error, "no thread could be started to go on with a result");
            self.control.stop_running(&self.running, StopCause::ReaderLeft);
        }
    }

    /// Whether it has committed something, or may yet.
    pub fn may_have_committed(&self) -> bool {
        self.running.commits.is_writing() || self.running.commits.statements().is_some()
    }

    /// Makes it end if it has not, waits until it can commit nothing more, and says how many statements, from the first,
    /// are executed and committed; none if nothing is.
    pub async fn stop(&mut self) -> Option<u32> {
        if !self.ended {
            self.control.stop_running(&self.running, StopCause::ReaderLeft);
            self.batches.close();
            self.ended = true;
            // How it ended is of no interest any more.
            let _ = self.running.answer(&mut self.end).await;
        }
        self.running.commits.statements()
    }

    /// Lets go of rows that are not wanted any more. The client's transaction goes on; a statement outside of one is
    /// rolled back, unless all of it was done with its first row.
    pub async fn leave(mut self) -> Result<(), QueryError> {
        if self.ended {
            return Ok(());
        }
        self.batches.close();
        let (work, running) = (Arc::clone(&self.work), Arc::clone(&self.running));
        let left = self.control.threads().run(move || work.leave(&running));
        left.map_err(|error| no_thread(&error, &self.running))?;
        let ended = self.running.answer(&mut self.end).await;
        self.ended = true;
        match ended {
            Err(error) if error.code != ErrorCode::Cancelled => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives the outcome, which is known once [`Self::next`] gave `None` without an error.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }
}

impl Drop for RowStream {
    fn drop(&mut self) {
        if !self.ended {
            self.control.stop_running(&self.running, StopCause::ReaderLeft);
        }
    }
}

/// No thread could be borrowed for this, which is over with that.
pub(super) fn no_thread(error: &std::io::Error, running: &Running) -> QueryError {
    running.end();
    QueryError::new(ErrorCode::Busy, format!("No thread could be started for the session: {error}"))
}
