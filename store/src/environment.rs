//! Time, randomness and computing threads, passed in so that a simulation can own them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::step::stepped;

/// Wall clock, monotonic clock and sleep.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment of this process; never goes back.
    fn monotonic(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// Source of unpredictable bytes (ids, put-ids, back-off jitter).
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// Where hashing, compression and file work run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compute {
    /// On tokio's blocking threads (production).
    Threads,
    /// On the calling task (simulation: keeps a run deterministic).
    Inline,
}

/// Work on at most so many bytes is done at once: handing it to another thread takes longer.
const SMALL_WORK: usize = 64 * 1024;

/// Everything the protocol takes from the outside world besides the bucket.
#[derive(Clone)]
pub struct Environment {
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub randomness: Arc<dyn Randomness>,
    /// Where blocking work runs.
    pub compute: Compute,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("compute", &self.compute).finish_non_exhaustive()
    }
}

impl Environment {
    /// The machine's clock and random generator.
    #[allow(clippy::disallowed_methods, reason = "the home of monotonic time")]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock { start: std::time::Instant::now() }),
            randomness: Arc::new(SystemRandomness),
            compute: Compute::Threads,
        }
    }

    /// 128 random bits.
    pub(crate) fn random_id(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.randomness.fill(&mut bytes);
        bytes
    }

    /// Runs blocking or long work away from the async threads.
    #[allow(clippy::disallowed_methods, reason = "the home of blocking work")]
    pub(crate) async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match self.compute {
            Compute::Inline => work(),
            Compute::Threads => match stepped("compute", "", tokio::task::spawn_blocking(work)).await {
                Ok(value) => value,
                Err(stopped) => match stopped.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is shutting down: nobody is left to take an answer.
                    Err(_cancelled) => std::future::pending().await,
                },
            },
        }
    }

    /// Runs work on so many bytes away from the async threads, or here if they are few.
    pub(crate) async fn compute_on<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if bytes <= SMALL_WORK { work() } else { self.compute(work).await }
    }
}

struct SystemClock {
    start: std::time::Instant,
}

#[async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the home of the time of day")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

struct SystemRandomness;

impl Randomness for SystemRandomness {
    #[allow(clippy::disallowed_methods, reason = "the home of randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), bytes);
    }
}
