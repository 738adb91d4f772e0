//! Wakes for many callers: one flight per branch, bounded in number, in time and in what it remembers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
    wake::{Route, WakeRequest},
};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    finding::Target,
    limits::{FailureMemory, StartRate},
    pods::{Flight, Wait},
    world::{Cluster, Runtimes},
};
use crate::metrics::WakeMetrics;

/// Bounds of waking.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time one flight may take.
    pub deadline: Duration,
    /// Flights under way at a time.
    pub flights: usize,
    /// Callers waiting at a time.
    pub callers: usize,
    /// Pods created per second.
    pub starts_per_second: u32,
    /// Pods created at once after a quiet time.
    pub start_burst: u32,
}

impl Limits {
    /// The product's bounds around a deadline.
    pub const fn with_deadline(deadline: Duration) -> Self {
        Self { deadline, flights: 1_000, callers: 10_000, starts_per_second: 20, start_burst: 40 }
    }
}

type Outcome = Result<Route, Box<Problem>>;

/// A flight that callers wait for.
#[derive(Clone)]
struct SharedFlight {
    outcome: Shared<BoxFuture<'static, Outcome>>,
    wait: Arc<Wait>,
}

/// Wakes branches.
pub struct Waker<C, R> {
    cluster: C,
    runtimes: R,
    limits: Limits,
    rate: StartRate,
    failures: FailureMemory,
    flights: Mutex<HashMap<BranchKey, SharedFlight>>,
    class_locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    callers: tokio::sync::Semaphore,
    metrics: WakeMetrics,
}

impl<C: Cluster, R: Runtimes> Waker<C, R> {
    /// Over the given worlds.
    pub fn new(cluster: C, runtimes: R, limits: Limits, metrics: WakeMetrics) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            runtimes,
            limits,
            rate: StartRate::new(limits.starts_per_second, limits.start_burst),
            failures: FailureMemory::default(),
            flights: Mutex::default(),
            class_locks: Mutex::default(),
            callers: tokio::sync::Semaphore::new(limits.callers),
            metrics,
        })
    }

    /// Answers a request with a route, within the caller's patience.
    /// Errors: `not-found`, `suspended`, `wake-timeout`, `capacity-reached`, `busy`, `internal`, those of
    /// `Flight::run()`.
    pub async fn wake(self: &Arc<Self>, request: &WakeRequest) -> Result<Route, Problem> {
        let key = BranchKey {
            namespace: request.namespace.clone(),
            tenant: request.tenant.clone(),
            branch: request.branch.clone(),
        };
        let busy = |what: &str| {
            Problem::new(ErrorCode::Busy, format!("too many {what} wait at once")).retry_after(1)
        };
        let _caller = self.callers.try_acquire().map_err(|_| busy("callers"))?;
        if request.only_if_running {
            let look = async {
                let target = self.cluster.target(&key).await?;
                let deadline = Instant::now() + request.patience;
                self.flight(&target, deadline, &Wait::default()).look(request.not_pod_uid.as_deref()).await
            };
            return look.instrument(span(&key)).await;
        }
        let flight = self.join(&key).ok_or_else(|| busy("wakes"))?;
        let patience = request.patience.min(self.limits.deadline);
        let outcome = tokio::time::timeout(patience, flight.outcome).await;
        outcome.map_or_else(
            |_| Err(out_of_patience(&key, request.patience, &flight.wait)),
            |outcome| outcome.map_err(|problem| *problem),
        )
    }

    /// The flight under way, or a new one; none when there are too many.
    fn join(self: &Arc<Self>, key: &BranchKey) -> Option<SharedFlight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key) {
            return Some(flight.clone());
        }
        if flights.len() >= self.limits.flights {
            return None;
        }
        let (waker, woken) = (Arc::clone(self), key.clone());
        let wait = Arc::new(Wait::default());
        let waits = Arc::clone(&wait);
        // A task of its own: a caller that leaves does not take the wake of the others with it.
        let flight = async move {
            let outcome = waker.run(&woken, &waits).await;
            waker.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&woken);
            outcome
        };
        let task = tokio::spawn(flight.instrument(span(key)));
        let outcome = async move {
            task.await.unwrap_or_else(|error| {
                Err(Box::new(Problem::new(
                    ErrorCode::Internal,
                    format!("the wake ended abnormally: {error}"),
                )))
            })
        };
        let flight = SharedFlight { outcome: outcome.boxed().shared(), wait };
        flights.insert(key.clone(), flight.clone());
        Some(flight)
    }

    async fn run(&self, key: &BranchKey, wait: &Wait) -> Outcome {
        let start = Instant::now();
        let target = self.cluster.target(key).await.map_err(Box::new)?;
        if let Some(problem) = self.failures.recall(key, target.generation) {
            return Err(Box::new(problem));
        }
        let flight = self.flight(&target, start + self.limits.deadline, wait);
        let outcome = flight.run().await;
        self.metrics.observe(&outcome, start.elapsed());
        match &outcome {
            Ok(route) => {
                self.failures.forget(key);
                if target.failure_told || wait.told.load(Ordering::Relaxed) {
                    self.cluster.recovered(&target).await;
                }
                tracing::info!(branch = %key, pod = %route.pod, millis = start.elapsed().as_millis(), "awake");
            }
            Err(problem) => {
                tracing::warn!(branch = %key, %problem, millis = start.elapsed().as_millis(), "wake failed");
                self.cluster.failed(&target, problem).await;
                if is_of_the_tenant(problem.code) {
                    self.failures.remember(key, target.generation, problem);
                }
            }
        }
        outcome.map_err(Box::new)
    }

    fn flight<'a>(
        &'a self,
        target: &'a Target,
        deadline: Instant,
        wait: &'a Wait,
    ) -> FlightInClass<'a, C, R> {
        FlightInClass { waker: self, target, deadline, wait, class_lock: self.class_lock(target) }
    }

    fn class_lock(&self, target: &Target) -> Arc<tokio::sync::Mutex<()>> {
        let class =
            target.state.as_ref().and_then(|state| state.class.metadata.uid.clone()).unwrap_or_default();
        let mut class_locks = self.class_locks.lock().unwrap_or_else(PoisonError::into_inner);
        class_locks.retain(|_, class_lock| Arc::strong_count(class_lock) > 1);
        Arc::clone(class_locks.entry(class).or_default())
    }
}

/// A flight with the lock of its class.
struct FlightInClass<'a, C, R> {
    waker: &'a Waker<C, R>,
    target: &'a Target,
    deadline: Instant,
    wait: &'a Wait,
    class_lock: Arc<tokio::sync::Mutex<()>>,
}

impl<C: Cluster, R: Runtimes> FlightInClass<'_, C, R> {
    fn flight(&self) -> Flight<'_, C, R> {
        Flight {
            cluster: &self.waker.cluster,
            runtimes: &self.waker.runtimes,
            rate: &self.waker.rate,
            class_lock: &self.class_lock,
            target: self.target,
            deadline: self.deadline,
            wait: self.wait,
        }
    }

    async fn run(&self) -> Result<Route, Problem> {
        self.flight().run().await
    }

    async fn look(&self, not_pod: Option<&str>) -> Result<Route, Problem> {
        self.flight().look(not_pod).await
    }
}

/// The span of a wake, whatever it comes to.
fn span(key: &BranchKey) -> tracing::Span {
    tracing::info_span!("wake", namespace = %key.namespace, tenant = %key.tenant, branch = %key.branch)
}

/// The problem of a caller whose patience ends before the flight.
fn out_of_patience(key: &BranchKey, patience: Duration, wait: &Wait) -> Problem {
    let (code, why) = if wait.place.load(Ordering::Relaxed) {
        (ErrorCode::CapacityReached, "it waits for a place of its class, all of which are taken".to_owned())
    } else {
        (ErrorCode::WakeTimeout, wait.describe())
    };
    Problem::new(code, format!("{key} does not serve after {patience:?}: {why}; ask again")).retry_after(1)
}

/// Whether a failure says something about this tenant that will hold for a moment.
fn is_of_the_tenant(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::NotFound
            | ErrorCode::Suspended
            | ErrorCode::Busy
            | ErrorCode::CapacityReached
            | ErrorCode::WakeTimeout
            | ErrorCode::Draining
            | ErrorCode::NotServing
            | ErrorCode::AlreadyGranted
            | ErrorCode::Fenced
            | ErrorCode::NotSealed
    )
}
