//! A statement, or a request of several, from its beginning to its end: whether and why it has to stop.
use super::commits::Commits;
use super::stop_cause::StopCause;
use crate::activity::ActivityCounters;
use crate::error::QueryError;
use roost_duckdb::InterruptHandle;
use roost_protocol::problem::ErrorCode;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// One statement, or one request of several, that has begun.
pub(crate) struct Running {
    pub started: Instant,
    /// Record of what of it is committed.
    pub commits: Commits,
    cause: watch::Sender<Option<StopCause>>,
    ended: watch::Sender<bool>,
    /// Whether it is answered without its session, which goes on and commits nothing.
    given_up: watch::Sender<bool>,
    /// Whether interrupts are over; held while one is fired.
    settled: Mutex<bool>,
    activity: Arc<ActivityCounters>,
}

impl Running {
    /// Begins now. Interrupts reach the connection from [`Self::unsettle`] on.
    pub fn begin(activity: &Arc<ActivityCounters>) -> Arc<Self> {
        activity.began();
        Arc::new(Self {
            started: Instant::now(),
            commits: Commits::default(),
            cause: watch::Sender::new(None),
            ended: watch::Sender::new(false),
            given_up: watch::Sender::new(false),
            // Until its thread has the connection: whoever has it now is not to be interrupted.
            settled: Mutex::new(true),
            activity: Arc::clone(activity),
        })
    }

    /// It has to stop; true if that is news. The first cause is the one reported, unless a later one also ends the
    /// transaction.
    pub fn blame(&self, cause: StopCause) -> bool {
        self.cause.send_if_modified(|current| {
            let news = current.is_none_or(|before| cause.ends_transaction() && !before.ends_transaction());
            if news {
                *current = Some(cause);
            }
            news
        })
    }

    /// Why it has to stop, if it has.
    pub fn stop_cause(&self) -> Option<StopCause> {
        *self.cause.borrow()
    }

    /// Waits until it has to stop.
    pub async fn stopped(&self) -> StopCause {
        let mut cause = self.cause.subscribe();
        let stopped = cause.wait_for(Option::is_some).await.map(|cause| *cause);
        match stopped {
            Ok(Some(cause)) => cause,
            // The sender is a field of `self`: the channel cannot close, and `Some` was waited for.
            Ok(None) | Err(_) => StopCause::Cancelled,
        }
    }

    /// Fails if it has to stop.
    pub fn check(&self) -> Result<(), QueryError> {
        self.stop_cause().map_or(Ok(()), |cause| Err(cause.error()))
    }

    /// Fires an interrupt, unless interrupts are over.
    pub fn interrupt(&self, handle: &InterruptHandle) {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if !*settled {
            handle.interrupt();
        }
    }

    /// No interrupt reaches the connection from here on: what follows (a rollback, a commit) must not be broken by one.
    pub fn settle(&self) {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Interrupts reach the connection again; one that was asked for meanwhile is repeated.
    pub fn unsettle(&self) {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// It is over; its interrupts are, too.
    pub fn end(&self) {
        self.settle();
        if !self.ended.send_replace(true) {
            self.activity.ended();
        }
    }

    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until it is over.
    pub async fn until_ended(&self) {
        let mut ended = self.ended.subscribe();
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// It is answered without its session: DuckDB does not end it, and it can commit nothing.
    pub fn give_up(&self) {
        self.given_up.send_if_modified(|given_up| !std::mem::replace(given_up, true));
    }

    /// Waits until it is given up, and says why it was made to stop.
    pub async fn given_up(&self) -> QueryError {
        let mut given_up = self.given_up.subscribe();
        // The sender is a field of `self`: the channel cannot close.
        let _ = given_up.wait_for(|given_up| *given_up).await;
        self.vanished()
    }

    /// Makes the error to report when the session ended without a word.
    pub fn vanished(&self) -> QueryError {
        let error = self.stop_cause().map_or_else(
            || QueryError::new(ErrorCode::Internal, "The session ended without an answer"),
            StopCause::error,
        );
        error.after(self.commits.statements())
    }

    /// Waits for what the session says at its end, unless it is given up.
    pub async fn answer<T>(
        &self,
        answer: &mut oneshot::Receiver<Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or_else(|_| Err(self.vanished())),
            error = self.given_up() => Err(error),
        }
    }
}

impl Drop for Running {
    /// A thread that panicked ends nothing by itself.
    fn drop(&mut self) {
        self.end();
    }
}
