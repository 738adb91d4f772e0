//! One wake at a time for each branch, shared by all who wait for it.

use super::operator::{Operator, Wake, out_of_time};
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

/// How long a failure that asking again at once does not mend is given to those who ask again.
const FAILURE_MEMORY: Duration = Duration::from_secs(1);
/// Longest time for which a failure's own `Retry-After` makes it remembered.
const LONGEST_FAILURE_MEMORY: Duration = Duration::from_secs(5);
/// Most failures remembered.
const MAX_FAILURES: u64 = 10_000;

/// Bounds of waking.
#[derive(Clone, Copy, Debug)]
pub struct FlightLimits {
    /// Most branches being woken at once.
    pub flights: usize,
    /// Most requests that wait for one branch.
    pub waiters: usize,
    /// Longest time one wake may take, whoever waits for it.
    pub patience: Duration,
}

type Outcome = Result<Arc<Route>, Problem>;
type Landing = watch::Receiver<Option<Outcome>>;

/// A wake under way.
#[derive(Clone)]
struct Flight {
    tower: Arc<watch::Sender<Option<Outcome>>>,
    /// The pod that it will not name unless it is the only one there is.
    not_pod_uid: Option<String>,
}

/// The wakes under way and the failures of a moment ago.
pub struct Flights {
    operator: Arc<Operator>,
    limits: FlightLimits,
    airborne: Mutex<HashMap<BranchKey, Flight>>,
    failures: Cache<BranchKey, (Instant, Problem)>,
    metrics: Arc<Metrics>,
}

impl Flights {
    /// Has `operator` wake branches.
    pub fn new(operator: Arc<Operator>, limits: FlightLimits, metrics: Arc<Metrics>) -> Arc<Self> {
        let failures =
            Cache::builder().max_capacity(MAX_FAILURES).time_to_live(LONGEST_FAILURE_MEMORY).build();
        Arc::new(Self { operator, limits, airborne: Mutex::default(), failures, metrics })
    }

    /// Wakes the branch, or waits for the wake that is under way, until `deadline`. A wake that others began without
    /// knowing that `not_pod_uid` is of no use may name it, and is then followed by another.
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
            let (mut landing, same_wish) = self.board(key, not_pod_uid)?;
            let outcome = match timeout_at(deadline, landing.wait_for(Option::is_some)).await {
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

    /// Where the branch is served now, without waking it; [`ErrorCode::NotFound`] if it is not.
    pub async fn find_running(
        &self,
        key: &BranchKey,
        not_pod_uid: Option<&str>,
        deadline: Instant,
    ) -> Result<Arc<Route>, Problem> {
        let not_pod_uid = not_pod_uid.map(str::to_owned);
        let wake = Wake { key: key.clone(), not_pod_uid, only_if_running: true };
        self.operator.wake(&wake, deadline).await.map(Arc::new)
    }

    /// Joins the flight of this branch or starts it; says whether it avoids the same pod.
    fn board(
        self: &Arc<Self>,
        key: &BranchKey,
        not_pod_uid: Option<&str>,
    ) -> Result<(Landing, bool), Problem> {
        let mut airborne = self.airborne.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = airborne.get(key) {
            if flight.tower.receiver_count() >= self.limits.waiters {
                let detail = format!("{} requests wait for {key} to wake", self.limits.waiters);
                return Err(Problem::new(ErrorCode::Busy, detail).retry_after(1));
            }
            return Ok((flight.tower.subscribe(), flight.not_pod_uid.as_deref() == not_pod_uid));
        }
        if airborne.len() >= self.limits.flights {
            let detail = format!("{} tenants are being woken", self.limits.flights);
            return Err(Problem::new(ErrorCode::Busy, detail).retry_after(1));
        }
        let (tower, landing) = watch::channel(None);
        let not_pod_uid = not_pod_uid.map(str::to_owned);
        let flight = Flight { tower: Arc::new(tower), not_pod_uid: not_pod_uid.clone() };
        airborne.insert(key.clone(), flight.clone());
        let wake = Wake { key: key.clone(), not_pod_uid, only_if_running: false };
        tokio::spawn(Arc::clone(self).fly(wake, flight));
        Ok((landing, true))
    }

    /// The wake itself; goes on when those who wait for it leave, since the branch is half awake by then.
    async fn fly(self: Arc<Self>, wake: Wake, flight: Flight) {
        let started = Instant::now();
        let outcome = self.operator.wake(&wake, started + self.limits.patience).await.map(Arc::new);
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
        self.airborne.lock().unwrap_or_else(PoisonError::into_inner).remove(&wake.key);
        flight.tower.send_replace(Some(outcome));
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

/// How long a failure is remembered; not at all if asking again at once is the right thing.
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
