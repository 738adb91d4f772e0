//! When the database is published: when its WAL would take long to replay, when asked to, and at the end.
//!
//! What was committed is in the bucket before its publish, as WAL. When commits have not been for two minutes, writes
//! are refused until they are.

use crate::{
    durability::{
        clock_check,
        database::{SHIPPING_PATIENCE, ServedDatabase},
        shipper::Shipper,
    },
    files::Unpublished,
    metrics::PublishMetrics,
};
use roost_engine::Engine;
use roost_protocol::problem::ErrorCode;
use roost_store::{
    Environment, LocalError, OwnedBranch, PublicError as _, PublishError, PublishRetry, Published,
    step::stepped,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tracing::Instrument as _;

/// Longest times that commits may stay unpublished, and undurable.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A publish begins when the oldest unpublished commit is this old.
    pub interval: Duration,
    /// Writes are refused when the oldest commit that is not durable is this old.
    pub writes_refused_after: Duration,
}

/// Bytes of WAL after which a publish begins, whatever its age.
const MAX_WAL_BYTES: u64 = 16 * 1024 * 1024;
/// Commits after which a publish begins: small ones take longer to replay than their bytes tell.
const MAX_WAL_COMMITS: u64 = 20_000;
/// Segments after which a publish begins: whoever takes over reads each.
const MAX_SEGMENTS: u64 = 256;
/// Chunks in segments after which a publish begins: so much is held in memory while taking over.
const MAX_CARRIED_CHUNKS: u64 = 256;

/// Time for which checkpoints may fail while a commit waits that only a publish can keep. Then the process ends, and
/// the branch opens again without it.
const HELD_PATIENCE: Duration = Duration::from_mins(1);

/// Pause between two looks at what is unpublished, and at whether writes must be refused.
const TICK: Duration = Duration::from_millis(100);
/// Pause after a publish that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Publishes one tenant's branch; one publish at a time.
pub struct Publisher {
    branch: Arc<OwnedBranch>,
    database: Arc<ServedDatabase>,
    shipper: Arc<Shipper>,
    engine: Engine,
    environment: Environment,
    patience: Patience,
    one_at_a_time: Mutex<()>,
    metrics: PublishMetrics,
}

impl Publisher {
    /// A publisher of this branch.
    pub fn new(
        branch: Arc<OwnedBranch>,
        database: Arc<ServedDatabase>,
        shipper: Arc<Shipper>,
        engine: Engine,
        environment: Environment,
        patience: Patience,
        metrics: PublishMetrics,
    ) -> Self {
        let one_at_a_time = Mutex::default();
        Self { branch, database, shipper, engine, environment, patience, one_at_a_time, metrics }
    }

    /// Age of the oldest commit that is not in the bucket yet; zero when all are.
    pub fn durable_lag(&self) -> Duration {
        self.shipper.oldest().map_or(Duration::ZERO, |since| self.age(since))
    }

    fn age(&self, since: jiff::Timestamp) -> Duration {
        Duration::try_from(self.environment.clock.now().duration_since(since)).unwrap_or_default()
    }

    fn is_due(&self, unpublished: Unpublished) -> bool {
        let Unpublished { since, wal_bytes, commits, segments, carried, needs_publish, crowded, .. } =
            unpublished;
        since.is_some_and(|since| self.age(since) >= self.patience.interval)
            || wal_bytes >= MAX_WAL_BYTES
            || commits >= MAX_WAL_COMMITS
            || segments >= MAX_SEGMENTS
            || carried >= MAX_CARRIED_CHUNKS
            || needs_publish
            || crowded
    }

    /// Publishes while the tenant is served; ends with the error after which this process must go.
    pub async fn run(&self) -> PublishError {
        tokio::select! {
            error = self.publish_when_due() => error,
            // Beside it: a publish may wait long for the bucket.
            never = self.refuse_writes_while_unfit() => match never {},
        }
    }

    async fn refuse_writes_while_unfit(&self) -> std::convert::Infallible {
        loop {
            self.environment.clock.sleep(TICK).await;
            self.refuse_writes_if_unfit();
        }
    }

    /// Refuses writes while the bucket takes none, or the clock is wrong; else lets them through again.
    pub fn refuse_writes_if_unfit(&self) {
        let lag = self.durable_lag();
        self.metrics.observe_lag(lag);
        let late = lag > self.patience.writes_refused_after;
        let why = || format!("object storage has not taken commits for {} seconds", lag.as_secs());
        let ahead = self.branch.bucket_clock_ahead().unwrap_or_default();
        self.metrics.observe_clock(ahead);
        self.engine.refuse_writes(late.then(why).or_else(|| clock_check::refusal(ahead)));
    }

    async fn publish_when_due(&self) -> PublishError {
        let mut not_before = Duration::ZERO;
        loop {
            tokio::select! {
                () = self.environment.clock.sleep(TICK) => {}
                // Somebody waits for it.
                () = self.database.commit_is_held() => {}
            }
            let due = self.is_due(self.database.unpublished());
            if !due || self.environment.clock.monotonic() < not_before {
                continue;
            }
            match self.publish("commits are waiting").await {
                Ok(_) => {}
                Err(error) if error.retry() == PublishRetry::Never => return error,
                // What it needs of the state before is damaged: to try again would only upload it all again.
                Err(error) if matches!(error.code(), ErrorCode::DataCorrupted | ErrorCode::EngineTooOld) => {
                    return error;
                }
                // Nobody was told that what is held is kept. To begin anew without it is better than to refuse all.
                Err(error) if self.is_stuck() => {
                    let error = format!(
                        "commits that only a publish can keep are given up: none was possible for {} seconds ({error}); \
                         the tenant opens again without them",
                        HELD_PATIENCE.as_secs()
                    );
                    return LocalError::lasting(error).into();
                }
                Err(_) => not_before = self.environment.clock.monotonic() + RETRY_PAUSE,
            }
        }
    }

    /// Whether checkpoints have failed for as long as a held commit may wait.
    fn is_stuck(&self) -> bool {
        let now = self.environment.clock.monotonic();
        let elapsed = |since: Duration| now.saturating_sub(since) >= HELD_PATIENCE;
        self.database.unpublished().held_since.is_some_and(elapsed)
            && self.database.checkpoint_failing_since().is_some_and(elapsed)
    }

    /// Puts everything committed before this call into a manifest; does nothing when it is.
    pub async fn publish(&self, cause: &'static str) -> Result<Option<Published>, PublishError> {
        let _turn = self.one_at_a_time.lock().await;
        let Unpublished { since, needs_publish, crowded, .. } = self.database.unpublished();
        if since.is_none() && !needs_publish && !crowded && !self.branch.must_publish_first() {
            return Ok(None);
        }
        // While the bucket takes nothing, a publish would hold writers back in vain.
        if tokio::time::timeout(SHIPPING_PATIENCE, self.shipper.caught_up()).await.is_err() {
            self.database.bucket_is_late();
            let late = LocalError::retryable("commits could not be shipped in time, so nothing is published");
            return Err(late.into());
        }
        let started = self.environment.clock.monotonic();
        let publishing = stepped("publish", cause, self.branch.publish(&*self.database));
        let result = publishing.instrument(tracing::info_span!("publish", cause)).await;
        self.finish(result, started, cause).map(Some)
    }

    /// Publishes before anything is served: a new database, or what an owner before left as WAL.
    pub async fn publish_first(&self) -> Result<Published, PublishError> {
        let _turn = self.one_at_a_time.lock().await;
        let started = self.environment.clock.monotonic();
        let result = stepped("first publish", "", self.branch.publish(&*self.database)).await;
        self.finish(result, started, "taking over")
    }

    /// The last publish: seals HEAD. Tries again until `deadline`, a monotonic time.
    pub async fn seal(&self, deadline: Duration) -> Result<Published, PublishError> {
        let clock = &self.environment.clock;
        let patience = deadline.saturating_sub(clock.monotonic());
        let Ok(_turn) = tokio::time::timeout(patience, self.one_at_a_time.lock()).await else {
            return Err(LocalError::retryable("the publish before it did not end in time").into());
        };
        loop {
            let started = clock.monotonic();
            let result = stepped("seal", "", self.branch.seal(&*self.database)).await;
            match self.finish(result, started, "seal") {
                Err(error) if error.retry() == PublishRetry::AtOnce && clock.monotonic() < deadline => {
                    clock.sleep(RETRY_PAUSE.min(deadline.saturating_sub(clock.monotonic()))).await;
                }
                result => return result,
            }
        }
    }

    fn finish(
        &self,
        result: Result<Published, PublishError>,
        started: Duration,
        cause: &'static str,
    ) -> Result<Published, PublishError> {
        let took = self.environment.clock.monotonic().saturating_sub(started);
        match &result {
            Ok(published) => {
                self.database.published();
                self.shipper.advance(self.branch.durable());
                self.metrics.succeeded(published, took);
                self.metrics.observe_lag(self.durable_lag());
                tracing::info!(
                    cause,
                    read_chunks = published.read_chunks,
                    uploaded_chunks = published.uploaded_chunks,
                    bytes = published.bytes,
                    manifest = published.position.as_ref().map(|position| position.manifest),
                    took_millis = took.as_millis(),
                    "published"
                );
            }
            Err(error) => {
                self.metrics.failed();
                tracing::warn!(cause, %error, retry = ?error.retry(), "publish failed");
            }
        }
        result
    }
}
