//! One wake, from a key to a route. Every step looks at the world again: nothing but the deadline is remembered
//! between two of them, so it does not matter which replica did what.

use std::{sync::atomic::Ordering, time::Duration};

use roost_protocol::{
    PROTOCOL_VERSION,
    names::INTERNAL_TLS_PORT,
    problem::{ErrorCode, Problem},
    status::{RuntimeState, RuntimeStatus},
    wake::Route,
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    branch_pods::Created,
    eviction::{Eviction, choose},
    wait::Wait,
};
use crate::{
    pods::{PodView, ending::bad_end},
    runtime::CallError,
    slots::Taken,
    wake::{
        finding::Target,
        limits::StartRate,
        world::{Cluster, Runtimes},
    },
};

/// Shortest and longest pause between two looks at a pod that is on its way.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));
/// Time for the elected replica to remove a finished pod before a wake does it.
const RETIRE_PATIENCE: Duration = Duration::from_millis(1500);
/// Pause between two tries at a ceiling.
const SLOT_PAUSE: Duration = Duration::from_millis(250);
/// Pause between two looks for somebody to make room: each asks every pod of the class.
const ROOM_PAUSE: Duration = Duration::from_secs(2);
/// Time that a wake waits for a place before status tells of it: an eviction takes less.
const TOLD_AFTER: Duration = Duration::from_secs(5);
/// Time after its grace in which a leaving pod may still be seen.
const LEAVE_MARGIN: Duration = Duration::from_secs(10);
/// Pods that one wake creates at most: the first, and one more if that one ended before it served.
const MAX_STARTS: u32 = 2;
/// Seconds in Retry-After when time ran out.
const RETRY_AFTER_SECONDS: u32 = 5;

/// The result of one look.
enum Look {
    /// The branch is served there.
    Served(Box<Route>),
    /// Look again after a pause; the pod is on its way up.
    Again,
    /// Look again at once: the pod changed, and nothing else was waited for.
    Changed,
    /// Look again; the pod is on its way out.
    Leaving,
}

/// One wake.
pub(in crate::wake) struct Flight<'a, C, R> {
    pub cluster: &'a C,
    pub runtimes: &'a R,
    pub rate: &'a StartRate,
    /// Lock of the class: one flight at a time asks for a slot at the ceiling.
    pub class_lock: &'a Mutex<()>,
    pub target: &'a Target,
    pub deadline: Instant,
    /// Its waiting, as others see it.
    pub wait: &'a Wait,
}

impl<C: Cluster, R: Runtimes> Flight<'_, C, R> {
    /// Wakes the branch, or finds it awake.
    /// Errors: `wake-timeout`, `capacity-reached`, `busy`, `engine-failed`, `init-script-failed`, `replay-failed`,
    /// `storage-unreachable`, `storage-denied`, `conditional-writes-unsupported`, `data-corrupted`, `data-missing`,
    /// `data-owned-elsewhere`, `key-unavailable`, `tenant-not-ready`, `not-found`, `suspended`, `fenced`,
    /// `not-serving`, `writes-paused`, `internal`, `unauthenticated`, `bad-request`.
    pub(in crate::wake) async fn run(&self) -> Result<Route, Problem> {
        let mut pause = PAUSES.0;
        let mut leaving_since = None;
        let mut starts = 0;
        loop {
            let left = self.left()?;
            let pod = self.cluster.pod(self.target).await?;
            self.wait.see(pod.as_ref());
            let look = match pod {
                None if starts == MAX_STARTS => return Err(self.pods_end(starts)),
                None => {
                    // What is to be woken was read a while ago: it may be deleted or suspended by now.
                    if pause > PAUSES.0 {
                        self.still_wanted().await?;
                    }
                    self.start(&mut starts).await?
                }
                Some(pod) if pod.finished() => {
                    let look = self.remove(&pod, left).await?;
                    // Another pod would die of the same.
                    if let Some(problem) = bad_end(&pod).filter(|end| starts > 0 && is_replay(end)) {
                        return Err(problem);
                    }
                    look
                }
                Some(pod) if pod.leaving => {
                    self.cluster.changed(&pod, left.min(RETIRE_PATIENCE)).await;
                    Look::Leaving
                }
                Some(pod) if self.mended(&pod) => {
                    tracing::info!(branch = %self.target.key, pod = %pod.name, obstacle = pod.obstacle,
                        "removed: another one is described by now");
                    self.cluster.remove(&pod).await?;
                    Look::Leaving
                }
                Some(pod) if pod.address().is_none() => {
                    if self.cluster.changed(&pod, left).await {
                        Look::Changed
                    } else {
                        Look::Again
                    }
                }
                Some(pod) => self.ask(&pod).await?,
            };
            match look {
                Look::Served(route) => return Ok(*route),
                Look::Again => leaving_since = None,
                // A pod has few changes on its way up, and the last one is what the caller waits for.
                Look::Changed => {
                    leaving_since = None;
                    continue;
                }
                Look::Leaving => self.leaves_in_time(*leaving_since.get_or_insert_with(Instant::now))?,
            }
            tokio::time::sleep(pause.min(self.left()?)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// The route if the branch is served at this moment; starts nothing and waits for nothing.
    /// Errors: `not-found`, `busy`.
    pub(in crate::wake) async fn look(&self, not_pod: Option<&str>) -> Result<Route, Problem> {
        let asleep = || Problem::new(ErrorCode::NotFound, format!("{} is not running", self.target.key));
        let pod = self.cluster.pod(self.target).await?.ok_or_else(asleep)?;
        if pod.finished() || pod.address().is_none() || Some(pod.uid.as_str()) == not_pod {
            return Err(asleep());
        }
        match self.runtimes.report(&pod).await {
            Ok(status) if status.state == RuntimeState::Serving => Ok(self.route(&pod)),
            _ => Err(asleep()),
        }
    }

    fn left(&self) -> Result<Duration, Problem> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.timeout(&self.wait.describe())) } else { Ok(left) }
    }

    /// Whether a pod cannot start, and what it would be made of today is something else.
    fn mended(&self, pod: &PodView) -> bool {
        pod.obstacle.is_some() && pod.template != self.cluster.template(self.target)
    }

    fn timeout(&self, why: &str) -> Problem {
        Problem::new(ErrorCode::WakeTimeout, format!("{} did not wake in time: {why}", self.target.key))
            .retry_after(RETRY_AFTER_SECONDS)
    }

    fn leaves_in_time(&self, since: Instant) -> Result<(), Problem> {
        let bound = self.target.termination_grace + LEAVE_MARGIN;
        if since.elapsed() <= bound {
            return Ok(());
        }
        Err(self.timeout(&format!("its previous pod {} has not left within {bound:?}", self.target.pod)))
    }

    async fn still_wanted(&self) -> Result<(), Problem> {
        let now = self.cluster.target(&self.target.key).await?;
        if now.tenant_uid == self.target.tenant_uid {
            return Ok(());
        }
        Err(Problem::new(ErrorCode::NotFound, format!("{} was deleted while it woke", self.target.key)))
    }

    fn pods_end(&self, starts: u32) -> Problem {
        let detail = format!("{starts} pods of {} ended before they served; see its Events", self.target.key);
        Problem::new(ErrorCode::EngineFailed, detail).retry_after(RETRY_AFTER_SECONDS)
    }

    async fn start(&self, starts: &mut u32) -> Result<Look, Problem> {
        let slot = self.slot().await?;
        self.rate.acquire().await;
        match self.cluster.create(self.target, &slot).await {
            Ok(Created::Pod(pod)) => {
                *starts += 1;
                tracing::info!(branch = %self.target.key, pod = %pod.name, uid = %pod.uid, "pod created");
                Ok(Look::Again)
            }
            Ok(Created::Exists) => {
                self.cluster.free_slot(self.target, &slot).await;
                Ok(Look::Again)
            }
            Err(problem) => {
                self.cluster.free_slot(self.target, &slot).await;
                Err(problem)
            }
        }
    }

    async fn slot(&self) -> Result<Taken, Problem> {
        let wait = async {
            let _turn = self.class_lock.lock().await;
            let mut look_for_room = Instant::now();
            loop {
                if let Some(slot) = self.cluster.take_slot(self.target).await? {
                    return Ok(slot);
                }
                self.wait.place.store(true, Ordering::Relaxed);
                if look_for_room <= Instant::now() {
                    self.make_room().await?;
                    look_for_room = Instant::now() + ROOM_PAUSE;
                }
                tokio::time::sleep(SLOT_PAUSE).await;
            }
        };
        let told = async {
            tokio::time::sleep(TOLD_AFTER).await;
            self.wait.place.store(true, Ordering::Relaxed);
            self.wait.told.store(true, Ordering::Relaxed);
            self.cluster.waits(self.target, &at_ceiling(self.target)).await;
            std::future::pending().await
        };
        let place = tokio::time::timeout_at(self.deadline, async {
            tokio::select! {
                place = wait => place,
                never = told => never,
            }
        });
        let place = place.await.unwrap_or_else(|_| Err(at_ceiling(self.target)));
        self.wait.place.store(false, Ordering::Relaxed);
        place
    }

    /// Asks the least recently active tenant of the class that is idle to leave; one at a time.
    async fn make_room(&self) -> Result<(), Problem> {
        let occupants = self.cluster.occupants(self.target).await?;
        if let Eviction::Ask(index) = choose(&occupants, self.target.idle_least)
            && let Some(occupant) = occupants.get(index)
        {
            let (pod, quiet) = (&occupant.pod, occupant.quiet);
            let evicted = &pod.purpose.branch().key;
            tracing::info!(branch = %self.target.key, pod = %pod.name, tenant = %evicted.tenant,
                namespace = %evicted.namespace, ?quiet, "asked to make room at the ceiling");
            self.runtimes.drain(pod).await?;
        }
        Ok(())
    }

    async fn remove(&self, pod: &PodView, left: Duration) -> Result<Look, Problem> {
        if !pod.leaving {
            self.cluster.changed(pod, left.min(RETIRE_PATIENCE)).await;
        }
        if self.cluster.pod(self.target).await?.is_some_and(|now| now.uid == pod.uid) {
            self.cluster.retire(self.target, pod).await?;
        }
        Ok(Look::Leaving)
    }

    async fn ask(&self, pod: &PodView) -> Result<Look, Problem> {
        match self.runtimes.report(pod).await {
            Ok(status) if status.state == RuntimeState::Pooled => self.grant(pod).await,
            Ok(status) => Ok(self.read(pod, &status)),
            // Its process does not listen yet, or no longer; what the API server says next decides.
            Err(CallError::Unreachable { .. } | CallError::NoAnswer { .. }) => Ok(Look::Again),
            Err(CallError::Problem(problem)) if problem.code == ErrorCode::NotServing => {
                self.grant(pod).await
            }
            Err(CallError::Problem(problem)) => Err(of_the_pod(pod, *problem)),
        }
    }

    async fn grant(&self, pod: &PodView) -> Result<Look, Problem> {
        let left = self.left()?;
        match self.runtimes.grant(self.target, pod, left).await {
            Ok(status) => Ok(self.read(pod, &status)),
            Err(error @ (CallError::Unreachable { .. } | CallError::NoAnswer { .. })) => {
                tracing::debug!(pod = %pod.name, %error, "grant not answered");
                Ok(Look::Again)
            }
            Err(CallError::Problem(problem)) => match problem.code {
                ErrorCode::AlreadyGranted => Ok(Look::Again),
                ErrorCode::Draining => Ok(Look::Leaving),
                _ => Err(of_the_pod(pod, *problem)),
            },
        }
    }

    fn read(&self, pod: &PodView, status: &RuntimeStatus) -> Look {
        match status.state {
            RuntimeState::Serving => Look::Served(Box::new(self.route(pod))),
            RuntimeState::Pooled | RuntimeState::Claimed | RuntimeState::Hydrating => Look::Again,
            RuntimeState::Draining | RuntimeState::Sealed | RuntimeState::Fenced | RuntimeState::Failed => {
                Look::Leaving
            }
        }
    }

    fn route(&self, pod: &PodView) -> Route {
        Route {
            version: PROTOCOL_VERSION,
            pod: pod.name.clone(),
            pod_uid: pod.uid.clone(),
            address: pod.address().map(|address| address.address).unwrap_or_default(),
            port: INTERNAL_TLS_PORT,
            tenant_uid: self.target.tenant_uid.clone(),
            statement_timeout: self.target.statement_timeout,
        }
    }
}

/// A problem that a pod told. What it has against the operator (a grant that has expired, another protocol) is no fault of the
/// client that waits.
fn of_the_pod(pod: &PodView, problem: Problem) -> Problem {
    match problem.code {
        ErrorCode::Unauthenticated | ErrorCode::BadRequest => Problem::new(
            ErrorCode::Internal,
            format!("pod {} refused the operator: {}", pod.name, problem.detail),
        ),
        _ => problem,
    }
}

fn is_replay(problem: &Problem) -> bool {
    problem.code == ErrorCode::ReplayFailed
}

/// Every place of the class is taken.
fn at_ceiling(target: &Target) -> Problem {
    let active =
        target.state.as_ref().map_or_else(|| "all".to_owned(), |state| state.class.spec.active().to_string());
    let detail = format!(
        "{active} places of the class are taken and none of their tenants is idle; {} waits for one to be free",
        target.key
    );
    Problem::new(ErrorCode::CapacityReached, detail).retry_after(RETRY_AFTER_SECONDS)
}
