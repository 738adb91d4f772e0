//! A scripted world: pods are a few fields, and change as time passes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use roost_protocol::{
    BranchKey, PROTOCOL_VERSION,
    problem::{ErrorCode, Problem},
    status::{Ending, RuntimeState, RuntimeStatus},
    wake::{Route, WakeRequest},
};
use tokio::time::Instant;

use crate::{
    metrics::WakeMetrics,
    pods::{
        PodView, Purpose, Stage, TenantBranch,
        samples::{self, exit, status},
    },
    runtime::CallError,
    slots::Taken,
    wake::{
        Limits, Waker,
        finding::{Target, Targets},
        pods::{
            branch_pods::{BranchPods, Created},
            eviction::Occupant,
            runtimes::Runtimes,
        },
        status::WakeStatus,
    },
};

pub(super) const DEADLINE: Duration = Duration::from_mins(2);
pub(super) const GRACE: Duration = Duration::from_secs(30);
pub(super) const IDLE_LEAST: Duration = Duration::from_secs(20);
/// Time that another tenant's pod takes to publish and seal.
pub(super) const SEAL: Duration = Duration::from_secs(3);

/// Pause between changes of a pod of the scripted world on its way up.
pub(super) const CHANGE: Duration = Duration::from_millis(50);

/// One pod of the scripted world; it changes by itself as time passes.
#[derive(Clone)]
pub(super) struct FakePod {
    pub(super) uid: String,
    pub(super) created: Instant,
    /// After this it has an address.
    pub(super) address_after: Duration,
    /// After this the grant is answered.
    pub(super) hydrate: Duration,
    pub(super) granted: Option<Instant>,
    pub(super) grant_problem: Option<ErrorCode>,
    /// When it drains, and when its process ends.
    pub(super) drains: Option<Instant>,
    pub(super) ends: Option<Instant>,
    /// It crashes while it replays.
    pub(super) crashes: bool,
    pub(super) leaving: bool,
    /// Why it does not start.
    pub(super) obstacle: Option<&'static str>,
    pub(super) template: &'static str,
}

/// The template of pods today.
pub(super) const TEMPLATE: &str = "today";

#[derive(Default)]
pub(super) struct State {
    pub(super) pod: Option<FakePod>,
    /// The pod that is there at a create because another replica was faster.
    pub(super) rival: Option<FakePod>,
    pub(super) slots_taken: u32,
    pub(super) ceiling: u32,
    pub(super) creates: u32,
    pub(super) grants: u32,
    pub(super) refusal: Option<ErrorCode>,
    /// Pods crash while they replay.
    pub(super) unreplayable: bool,
    pub(super) uids: u32,
    /// Pods of other tenants of the class; each has a slot.
    pub(super) others: Vec<Other>,
    /// Names of the pods that were asked to leave.
    pub(super) drained: Vec<String>,
    /// The failure of the last wake that status tells.
    pub(super) told: Option<ErrorCode>,
}

/// A pod of another tenant.
#[derive(Clone)]
pub(super) struct Other {
    pub(super) name: String,
    pub(super) running: u32,
    pub(super) last_active: Instant,
    /// When it was asked to leave; it is gone a while later.
    pub(super) leaves: Option<Instant>,
}

#[derive(Clone, Default)]
pub(super) struct World(pub(super) Arc<Mutex<State>>, pub(super) Arc<AtomicU32>);

pub(super) fn fresh(uid: u32) -> FakePod {
    FakePod {
        uid: format!("uid-{uid}"),
        created: Instant::now(),
        address_after: Duration::from_millis(800),
        hydrate: Duration::from_millis(300),
        granted: None,
        grant_problem: None,
        drains: None,
        ends: None,
        crashes: false,
        leaving: false,
        obstacle: None,
        template: TEMPLATE,
    }
}

impl FakePod {
    fn state(&self) -> RuntimeState {
        let now = Instant::now();
        match self.granted {
            None => RuntimeState::Pooled,
            _ if self.drains.is_some_and(|at| at <= now) => RuntimeState::Draining,
            Some(at) if at + self.hydrate > now => RuntimeState::Hydrating,
            Some(_) => RuntimeState::Serving,
        }
    }

    fn end(&self) -> Stage {
        if !self.crashes {
            return Stage::Finished { ending: None, exit: exit("Completed", 0) };
        }
        let ending = Ending {
            state: RuntimeState::Hydrating,
            position: None,
            database_size: None,
            last_active: None,
            problem: Some(Problem::new(ErrorCode::ReplayFailed, "after 10:00")),
            report: None,
        };
        Stage::Finished { ending: Some(Box::new(ending)), exit: exit("Error", 139) }
    }

    fn view(&self) -> PodView {
        let stage = if self.ends.is_some_and(|at| at <= Instant::now()) {
            self.end()
        } else if self.created.elapsed() >= self.address_after && self.obstacle.is_none() {
            Stage::Running { address: "10.0.0.1".into(), ready: true }
        } else {
            Stage::Starting
        };
        PodView {
            uid: self.uid.clone(),
            purpose: Purpose::Serve(TenantBranch { tenant_uid: "tenant".into(), ..samples::branch("main") }),
            stage,
            leaving: self.leaving,
            obstacle: self.obstacle.map(str::to_owned),
            template: Some(self.template.to_owned()),
            ..samples::pod()
        }
    }
}

impl State {
    /// Lets pods that were asked to leave go after a while, with their slots.
    fn let_leave(&mut self) {
        let before = self.others.len();
        self.others.retain(|other| other.leaves.is_none_or(|at| at.elapsed() < SEAL));
        self.slots_taken -= u32::try_from(before - self.others.len()).unwrap();
    }
}

impl Other {
    fn occupant(&self) -> Occupant {
        let state = if self.leaves.is_some() { RuntimeState::Draining } else { RuntimeState::Serving };
        Occupant {
            pod: PodView { name: self.name.clone(), ..serving(1).view() },
            status: Some(RuntimeStatus { running: self.running, ..status(state) }),
            quiet: self.last_active.elapsed(),
        }
    }
}

#[async_trait]
impl Targets for World {
    async fn target(&self, key: &BranchKey) -> Result<Target, Problem> {
        if let Some(code) = self.0.lock().unwrap().refusal {
            return Err(Problem::new(code, "refused"));
        }
        Ok(Target {
            key: key.clone(),
            tenant_uid: "tenant".into(),
            pod: "rt-1".into(),
            generation: 1,
            statement_timeout: Duration::from_mins(1),
            termination_grace: GRACE,
            idle_least: IDLE_LEAST,
            failure_told: self.0.lock().unwrap().told.is_some(),
            state: None,
        })
    }
}

#[async_trait]
impl WakeStatus for World {
    async fn waits(&self, _: &Target, problem: &Problem) {
        self.0.lock().unwrap().told = Some(problem.code);
    }
    async fn failed(&self, _: &Target, problem: &Problem) {
        self.0.lock().unwrap().told = Some(problem.code);
    }
    async fn recovered(&self, _: &Target) {
        self.0.lock().unwrap().told = None;
    }
}

#[async_trait]
impl BranchPods for World {
    async fn pod(&self, _: &Target) -> Result<Option<PodView>, Problem> {
        Ok(self.0.lock().unwrap().pod.as_ref().map(FakePod::view))
    }
    async fn changed(&self, _: &PodView, at_most: Duration) -> bool {
        tokio::time::sleep(at_most.min(CHANGE)).await;
        CHANGE <= at_most
    }
    async fn take_slot(&self, _: &Target) -> Result<Option<Taken>, Problem> {
        let mut state = self.0.lock().unwrap();
        state.let_leave();
        if state.slots_taken >= state.ceiling {
            return Ok(None);
        }
        state.slots_taken += 1;
        Ok(Some(Taken { name: "c-0".into(), token: "t".into() }))
    }
    async fn free_slot(&self, _: &Target, _: &Taken) {
        self.0.lock().unwrap().slots_taken -= 1;
    }
    async fn create(&self, _: &Target, _: &Taken) -> Result<Created, Problem> {
        let mut state = self.0.lock().unwrap();
        state.creates += 1;
        if let Some(rival) = state.rival.take() {
            state.pod = Some(rival);
        }
        if state.pod.is_some() {
            return Ok(Created::Exists);
        }
        state.uids += 1;
        let pod = FakePod { crashes: state.unreplayable, ..fresh(state.uids) };
        state.pod = Some(pod.clone());
        Ok(Created::Pod(Box::new(pod.view())))
    }
    async fn occupants(&self, _: &Target) -> Result<Vec<Occupant>, Problem> {
        let state = self.0.lock().unwrap();
        Ok(state.others.iter().map(Other::occupant).collect())
    }
    fn template(&self, _: &Target) -> Option<String> {
        Some(TEMPLATE.into())
    }
    async fn remove(&self, _: &PodView) -> Result<(), Problem> {
        let mut state = self.0.lock().unwrap();
        state.pod = None;
        state.slots_taken = state.slots_taken.saturating_sub(1);
        Ok(())
    }
    async fn retire(&self, _: &Target, pod: &PodView) -> Result<(), Problem> {
        self.remove(pod).await
    }
}

#[async_trait]
impl Runtimes for World {
    async fn grant(&self, _: &Target, pod: &PodView, _: Duration) -> Result<RuntimeStatus, CallError> {
        let hydrate = {
            let mut state = self.0.lock().unwrap();
            state.grants += 1;
            let fake = state.pod.as_mut().filter(|fake| fake.uid == pod.uid).unwrap();
            if let Some(code) = fake.grant_problem {
                return Err(CallError::Problem(Box::new(Problem::new(code, "scripted"))));
            }
            if fake.granted.is_some() {
                return Err(CallError::Problem(Box::new(Problem::new(
                    ErrorCode::AlreadyGranted,
                    "scripted",
                ))));
            }
            fake.granted = Some(Instant::now());
            if fake.crashes {
                fake.ends = Some(Instant::now() + fake.hydrate);
                let (pod, reason) = (pod.name.clone(), "the connection broke".to_owned());
                return Err(CallError::NoAnswer { pod, reason });
            }
            fake.hydrate
        };
        tokio::time::sleep(hydrate).await;
        Ok(status(RuntimeState::Serving))
    }
    async fn report(&self, pod: &PodView) -> Result<RuntimeStatus, CallError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let state = self.0.lock().unwrap();
        let fake = state.pod.as_ref().filter(|fake| fake.uid == pod.uid);
        fake.map(|fake| status(fake.state())).ok_or_else(|| CallError::Unreachable {
            pod: pod.name.clone(),
            address: "10.0.0.1".into(),
            reason: "gone".into(),
        })
    }
    async fn drain(&self, pod: &PodView) -> Result<(), Problem> {
        let mut state = self.0.lock().unwrap();
        state.drained.push(pod.name.clone());
        if let Some(other) = state.others.iter_mut().find(|other| other.name == pod.name) {
            other.leaves = Some(Instant::now());
        }
        Ok(())
    }
}

/// A world at its ceiling: others have every place, active that many seconds ago, each running so much.
pub(super) async fn full(others: &[(&str, u64, u32)]) -> World {
    let start = Instant::now();
    tokio::time::advance(Duration::from_hours(1)).await;
    let others: Vec<_> = others
        .iter()
        .map(|(name, ago, running)| Other {
            name: (*name).to_owned(),
            running: *running,
            last_active: start + Duration::from_secs(3600 - ago),
            leaves: None,
        })
        .collect();
    let places = u32::try_from(others.len()).unwrap();
    let world = world(places, None);
    world.0.lock().unwrap().slots_taken = places;
    world.0.lock().unwrap().others = others;
    world
}

pub(super) fn world(ceiling: u32, pod: Option<FakePod>) -> World {
    let state = State { ceiling, slots_taken: u32::from(pod.is_some()), pod, uids: 100, ..State::default() };
    World(Arc::new(Mutex::new(state)), Arc::default())
}

pub(super) fn waker(world: &World) -> Arc<Waker<World, World>> {
    Waker::new(world.clone(), world.clone(), Limits::with_deadline(DEADLINE), WakeMetrics::default())
}

pub(super) fn request() -> WakeRequest {
    WakeRequest {
        version: PROTOCOL_VERSION,
        namespace: "shop".into(),
        tenant: "acme".into(),
        branch: "main".into(),
        not_pod_uid: None,
        only_if_running: false,
        patience: DEADLINE,
    }
}

pub(super) async fn wake(world: &World) -> Result<Route, Problem> {
    waker(world).wake(&request()).await
}

pub(super) fn serving(uid: u32) -> FakePod {
    FakePod {
        granted: Some(Instant::now()),
        hydrate: Duration::ZERO,
        address_after: Duration::ZERO,
        ..fresh(uid)
    }
}
