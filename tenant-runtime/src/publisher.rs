//! When the database is published: a minute after the first commit that is not, when asked to, and at the end.
//!
//! Until the WAL is shipped, a crash loses what was committed since the last publish. So when none succeeds for
//! two minutes, writes are refused until one does.

use crate::{database::ServedDatabase, metrics::PublishMetrics};
use roost_engine::Engine;
use roost_store::{Advice, Environment, OwnedBranch, PublishError, Published, step::stepped};
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// How long commits may stay unpublished.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A publish begins when the oldest unpublished commit is this old.
    pub interval: Duration,
    /// Writes are refused when it is this old.
    pub writes_refused_after: Duration,
}

/// How often the age of unpublished commits is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Pause after a publish that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Publishes one tenant's branch; one publish at a time.
pub struct Publisher {
    branch: Arc<OwnedBranch>,
    database: Arc<ServedDatabase>,
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
        engine: Engine,
        environment: Environment,
        patience: Patience,
        metrics: PublishMetrics,
    ) -> Self {
        Self { branch, database, engine, environment, patience, one_at_a_time: Mutex::default(), metrics }
    }

    /// Age of the oldest commit that is not published yet; zero when all are.
    pub fn durable_lag(&self) -> Duration {
        let now = self.environment.clock.now();
        self.database
            .oldest_unpublished()
            .and_then(|since| Duration::try_from(now.duration_since(since)).ok())
            .unwrap_or_default()
    }

    /// Publishes while the tenant is served; ends with the error after which this process must go.
    pub async fn run(&self) -> PublishError {
        let mut not_before = Duration::ZERO;
        loop {
            self.environment.clock.sleep(TICK).await;
            let lag = self.durable_lag();
            self.metrics.observe_lag(lag);
            if lag > self.patience.writes_refused_after {
                self.engine.refuse_writes(Some(format!(
                    "nothing could be published to object storage for {} seconds",
                    lag.as_secs()
                )));
            }
            if lag < self.patience.interval || self.environment.clock.monotonic() < not_before {
                continue;
            }
            match self.publish("commits are waiting").await {
                Ok(_) => {}
                Err(error) if error.advice() == Advice::GiveUp => return error,
                Err(_) => not_before = self.environment.clock.monotonic() + RETRY_PAUSE,
            }
        }
    }

    /// Brings everything committed before this call into the bucket; does nothing when it is there.
    pub async fn publish(&self, cause: &'static str) -> Result<Option<Published>, PublishError> {
        let _turn = self.one_at_a_time.lock().await;
        if self.database.oldest_unpublished().is_none() && self.branch.has_data() {
            return Ok(None);
        }
        let started = self.environment.clock.monotonic();
        let result = stepped("publish", cause, self.branch.publish(&*self.database)).await;
        self.finish(result, started, cause).map(Some)
    }

    /// The last publish: seals HEAD. Tries again until `deadline`, a monotonic time.
    pub async fn seal(&self, deadline: Duration) -> Result<Published, PublishError> {
        let _turn = self.one_at_a_time.lock().await;
        let clock = &self.environment.clock;
        loop {
            let started = clock.monotonic();
            let result = stepped("seal", "", self.branch.seal(&*self.database)).await;
            match self.finish(result, started, "seal") {
                Err(error) if error.advice() == Advice::Retry && clock.monotonic() < deadline => {
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
                self.engine.refuse_writes(None);
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
                tracing::warn!(cause, %error, advice = ?error.advice(), "publish failed");
            }
        }
        result
    }
}
