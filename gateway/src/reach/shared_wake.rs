//! One wake at a time for each branch, shared by all who wait for it.

use super::wake::{Wake, Waker, out_of_time};
use crate::metrics::Metrics;
use moka::sync::Cache;
use roost_protocol::{
    BranchKey,
    problem::{Advice, ErrorCode, Problem},
    wake::Route,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// Time for which a failure that asking again at once does not mend is given to those who ask again.
const FAILURE_MEMORY: Duration = Duration::from_secs(1);
/// Longest time for which a failure's own `Retry-After` makes it remembered.
const LONGEST_FAILURE_MEMORY: Duration = Duration::from_secs(5);
/// Most failures remembered.
const MAX_FAILURES: u64 = 10_000;

/// Bounds of waking.
#[derive(Clone, Copy, Debug)]
pub struct WakeLimits {
    /// Most branches being woken at once.
    pub wakes: usize,
    /// Most requests that wait for one branch.
    pub waiters: usize,
    /// Longest time one wake may take, whoever waits for it.
    pub patience: Duration,
}

type Outcome = Result<Arc<Route>, Problem>;
/// The outcome of a wake, once it has one.
type Pending = watch::Receiver<Option<Outcome>>;

/// A wake under way.
struct UnderWay {
    outcome: Arc<watch::Sender<Option<Outcome>>>,
    /// The pod that it will not name unless it is the only one there is.
    not_pod_uid: Option<String>,
}

/// The wakes under way and the failures of a moment ago.
pub struct SharedWakes {
    waker: Arc<dyn Waker>,
    limits: WakeLimits,
    under_way: Mutex<HashMap<BranchKey, UnderWay>>,
    failures: Cache<BranchKey, (Instant, Problem)>,
    metrics: Arc<Metrics>,
}

impl SharedWakes {
    /// Has `waker` wake branches.
    pub fn new(waker: Arc<dyn Waker>, limits: WakeLimits, metrics: Arc<Metrics>) -> Arc<Self> {
        let failures =
            Cache::builder().max_capacity(MAX_FAILURES).time_to_live(LONGEST_FAILURE_MEMORY).build();
        Arc::new(Self { waker, limits, under_way: Mutex::default(), failures, metrics })
    }

    /// Wakes the branch, or waits for the wake that is under way, until `deadline`. A wake that others began without
    /// knowing that `not_pod_uid` is of no use may name it, and is then followed by another.
    /// Errors: those of [`Waker::wake`], `wake-timeout`, `busy`.
    pub async fn wake(
        self: &Arc<Self>,
        key: &BranchKey,
        not_pod_uid: Option<&str>,
        deadline: Instant,
    ) -> Result<Arc<Route>, Problem> {
        loop {
            if let Some(problem) = self.recent_failure(key) {
                return Err(problem);
            }
            let (mut pending, same_wish) = self.join(key, not_pod_uid)?;
            let outcome = match timeout_at(deadline, pending.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => outcome.clone(),
                Ok(Err(_)) => None,
                Err(_) => return Err(out_of_time(key, "it is still being woken")),
            };
            let route = outcome.unwrap_or_else(|| Err(out_of_time(key, "the wake was given up")))?;
            if same_wish || not_pod_uid != Some(route.pod_uid.as_str()) {
                return Ok(route);
            }
        }
    }

    /// The way to where the branch is served now, without waking it; [`ErrorCode::NotFound`] if it is not.
    /// Errors: those of [`Waker::wake`].
    pub async fn find_running(
        &self,
        key: &BranchKey,
        not_pod_uid: Option<&str>,
        deadline: Instant,
    ) -> Result<Arc<Route>, Problem> {
        let not_pod_uid = not_pod_uid.map(str::to_owned);
        let wake = Wake { key: key.clone(), not_pod_uid, only_if_running: true };
        self.waker.wake(&wake, deadline).await.map(Arc::new)
    }

    /// Joins the wake of this branch or starts it; says whether it avoids the same pod.
    fn join(
        self: &Arc<Self>,
        key: &BranchKey,
        not_pod_uid: Option<&str>,
    ) -> Result<(Pending, bool), Problem> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = under_way.get(key) {
            if known.outcome.receiver_count() >= self.limits.waiters {
                let detail = format!("{} requests wait for {key} to wake", self.limits.waiters);
                return Err(Problem::new(ErrorCode::Busy, detail).retry_after(1));
            }
            return Ok((known.outcome.subscribe(), known.not_pod_uid.as_deref() == not_pod_uid));
        }
        if under_way.len() >= self.limits.wakes {
            let detail = format!("{} tenants are being woken", self.limits.wakes);
            return Err(Problem::new(ErrorCode::Busy, detail).retry_after(1));
        }
        let (outcome, pending) = watch::channel(None);
        let outcome = Arc::new(outcome);
        let wake =
            Wake { key: key.clone(), not_pod_uid: not_pod_uid.map(str::to_owned), only_if_running: false };
        let begun = UnderWay { outcome: Arc::clone(&outcome), not_pod_uid: wake.not_pod_uid.clone() };
        under_way.insert(key.clone(), begun);
        tokio::spawn(Arc::clone(self).run(wake, outcome));
        Ok((pending, true))
    }

    /// The wake itself; goes on when those who wait for it leave, since the branch is half awake by then.
    async fn run(self: Arc<Self>, wake: Wake, told: Arc<watch::Sender<Option<Outcome>>>) {
        let started = Instant::now();
        let outcome = self.waker.wake(&wake, started + self.limits.patience).await.map(Arc::new);
        self.metrics.woke(outcome.as_ref().err().map(|problem| problem.code), started.elapsed());
        match &outcome {
            Ok(route) => {
                tracing::info!(branch = %wake.key, pod = route.pod, millis = started.elapsed().as_millis(), "awake");
            }
            Err(problem) => tracing::warn!(branch = %wake.key, %problem, "not woken"),
        }
        if let Err(problem) = &outcome
            && let Some(memory) = failure_memory(problem)
        {
            self.failures.insert(wake.key.clone(), (Instant::now() + memory, problem.clone()));
        }
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&wake.key);
        told.send_replace(Some(outcome));
    }

    fn recent_failure(&self, key: &BranchKey) -> Option<Problem> {
        let (until, problem) = self.failures.get(key)?;
        if Instant::now() < until {
            return Some(problem);
        }
        self.failures.invalidate(key);
        None
    }
}

/// Time for which a failure is remembered; none if asking again at once is the right thing.
fn failure_memory(problem: &Problem) -> Option<Duration> {
    match (problem.particulars().retry_after, problem.advice()) {
        (_, _) if problem.code == ErrorCode::WakeTimeout => None,
        (Some(seconds), _) => Some(Duration::from_secs(seconds.into()).min(LONGEST_FAILURE_MEMORY)),
        (None, Advice::Retry) => None,
        (None, _) => Some(FAILURE_MEMORY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lasting_failures_are_remembered() {
        for (problem, expected) in [
            (Problem::new(ErrorCode::NotSealed, ""), None),
            (Problem::new(ErrorCode::WakeTimeout, "").retry_after(5), None),
            (Problem::new(ErrorCode::Suspended, ""), Some(FAILURE_MEMORY)),
            (Problem::new(ErrorCode::NotFound, ""), Some(FAILURE_MEMORY)),
            (Problem::new(ErrorCode::CapacityReached, "").retry_after(2), Some(Duration::from_secs(2))),
            (Problem::new(ErrorCode::CapacityReached, "").retry_after(600), Some(LONGEST_FAILURE_MEMORY)),
        ] {
            assert_eq!(failure_memory(&problem), expected, "{problem}");
        }
    }
}
