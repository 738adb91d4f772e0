//! Wakes against a scripted world: time is tokio's paused clock, pods are a few fields.

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

use super::{
    room::Occupant,
    service::{Limits, Waker},
    target::Target,
    world::{Cluster, Created, Runtimes},
};
use crate::{
    metrics::WakeMetrics,
    pods::{
        PodView, Stage,
        samples::{self, status},
    },
    runtime_client::CallError,
    slots::Taken,
};

const DEADLINE: Duration = Duration::from_mins(2);
const GRACE: Duration = Duration::from_secs(30);
const IDLE_LEAST: Duration = Duration::from_secs(20);
/// How long another tenant's pod takes to publish and seal.
const SEAL: Duration = Duration::from_secs(3);

/// How often a pod of the scripted world changes on its way up.
const CHANGE: Duration = Duration::from_millis(50);

/// One pod of the scripted world; it changes by itself as time passes.
#[derive(Clone)]
struct FakePod {
    uid: String,
    created: Instant,
    /// After this it has an address.
    address_after: Duration,
    /// After this the grant is answered.
    hydrate: Duration,
    granted: Option<Instant>,
    grant_problem: Option<ErrorCode>,
    /// When it drains, and when its process ends.
    drains: Option<Instant>,
    ends: Option<Instant>,
    /// It crashes while it replays.
    crashes: bool,
    leaving: bool,
    /// Why it does not start.
    obstacle: Option<&'static str>,
    template: &'static str,
}

/// What pods are made of today.
const TEMPLATE: &str = "today";

#[derive(Default)]
struct State {
    pod: Option<FakePod>,
    /// What the API server answers to a create while another replica is faster.
    rival: Option<FakePod>,
    slots_taken: u32,
    ceiling: u32,
    creates: u32,
    grants: u32,
    refusal: Option<ErrorCode>,
    /// Pods crash while they replay.
    unreplayable: bool,
    uids: u32,
    /// Pods of other tenants of the class; each has a slot.
    others: Vec<Other>,
    /// Names of the pods that were asked to leave.
    drained: Vec<String>,
    /// What status says of the last wake.
    told: Option<ErrorCode>,
}

/// A pod of another tenant.
#[derive(Clone)]
struct Other {
    name: String,
    running: u32,
    last_active: Instant,
    /// When it was asked to leave; it is gone a while later.
    leaves: Option<Instant>,
}

#[derive(Clone, Default)]
struct World(Arc<Mutex<State>>, Arc<AtomicU32>);

fn fresh(uid: u32) -> FakePod {
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
            return Stage::Finished { ending: None, reason: "Completed".into() };
        }
        let ending = Ending {
            state: RuntimeState::Hydrating,
            position: None,
            database_size: None,
            last_active: None,
            problem: Some(Problem::new(ErrorCode::ReplayFailed, "after 10:00")),
            snapshot: None,
        };
        Stage::Finished { ending: Some(Box::new(ending)), reason: "Error, exit code 139".into() }
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
            tenant_uid: "tenant".into(),
            stage,
            leaving: self.leaving,
            obstacle: self.obstacle.map(str::to_owned),
            template: Some(self.template.to_owned()),
            ..samples::pod()
        }
    }
}

impl State {
    /// What was asked to leave is gone after a while, and its slot free.
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
impl Cluster for World {
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
    async fn waits(&self, _: &Target, problem: &Problem) {
        self.0.lock().unwrap().told = Some(problem.code);
    }
    async fn failed(&self, _: &Target, problem: &Problem) {
        self.0.lock().unwrap().told = Some(problem.code);
    }
    async fn recovered(&self, _: &Target) {
        self.0.lock().unwrap().told = None;
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
async fn full(others: &[(&str, u64, u32)]) -> World {
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

fn world(ceiling: u32, pod: Option<FakePod>) -> World {
    let state = State { ceiling, slots_taken: u32::from(pod.is_some()), pod, uids: 100, ..State::default() };
    World(Arc::new(Mutex::new(state)), Arc::default())
}

fn waker(world: &World) -> Arc<Waker<World, World>> {
    Waker::new(world.clone(), world.clone(), Limits::with_deadline(DEADLINE), WakeMetrics::default())
}

fn request() -> WakeRequest {
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

async fn wake(world: &World) -> Result<Route, Problem> {
    waker(world).wake(&request()).await
}

fn serving(uid: u32) -> FakePod {
    FakePod {
        granted: Some(Instant::now()),
        hydrate: Duration::ZERO,
        address_after: Duration::ZERO,
        ..fresh(uid)
    }
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_one_flight() {
    let world = world(1, None);
    let waker = waker(&world);
    let callers = (0..200).map(|_| {
        let waker = Arc::clone(&waker);
        async move { waker.wake(&request()).await }
    });
    let routes = futures::future::join_all(callers).await;
    assert!(routes.iter().all(|route| route.as_ref().is_ok_and(|route| route.pod_uid == "uid-101")));
    let state = world.0.lock().unwrap();
    assert_eq!((state.creates, state.grants, state.slots_taken), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_granted_at_the_change_that_gave_it_an_address() {
    let world = world(1, Some(FakePod { hydrate: Duration::ZERO, ..fresh(1) }));
    let begun = Instant::now();
    wake(&world).await.unwrap();
    let late = begun.elapsed().saturating_sub(fresh(1).address_after);
    assert!(late <= CHANGE + Duration::from_millis(25), "{late:?} after its address was known");
}

#[tokio::test(start_paused = true)]
async fn a_serving_pod_is_named_without_a_grant() {
    let world = world(1, Some(serving(7)));
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-7");
    let state = world.0.lock().unwrap();
    assert_eq!((state.creates, state.grants), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn another_replica_was_first() {
    let world = world(2, None);
    // It created the pod and granted it; ours waits until it serves and keeps no slot.
    let rival = FakePod { granted: Some(Instant::now()), hydrate: Duration::from_secs(3), ..fresh(9) };
    world.0.lock().unwrap().rival = Some(rival);
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-9");
    let state = world.0.lock().unwrap();
    assert_eq!((state.creates, state.grants, state.slots_taken), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_creator_died_before_the_grant_is_granted() {
    let world = world(1, Some(FakePod { granted: None, ..serving(4) }));
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-4");
    assert_eq!(world.0.lock().unwrap().grants, 1);
}

#[tokio::test(start_paused = true)]
async fn already_granted_by_another_replica_is_waited_for() {
    let world = world(1, Some(FakePod { granted: None, ..serving(5) }));
    world.0.lock().unwrap().pod.as_mut().unwrap().grant_problem = Some(ErrorCode::AlreadyGranted);
    let (other, started) = (world.clone(), Instant::now());
    let rival = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        other.0.lock().unwrap().pod.as_mut().unwrap().granted = Some(Instant::now());
    });
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-5");
    rival.await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_draining_pod_is_waited_for_and_followed_by_a_new_one() {
    let now = Instant::now();
    let draining = FakePod { drains: Some(now), ends: Some(now + Duration::from_secs(4)), ..serving(1) };
    let world = world(1, Some(draining));
    let route = wake(&world).await.unwrap();
    assert_eq!(route.pod_uid, "uid-101");
    assert!(now.elapsed() >= Duration::from_secs(4), "the new pod came before the old one had ended");
    assert_eq!(world.0.lock().unwrap().creates, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_leaves_ends_the_wake_after_its_grace() {
    let stuck = FakePod { drains: Some(Instant::now()), ..serving(1) };
    let world = world(1, Some(stuck));
    let start = Instant::now();
    let problem = wake(&world).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::WakeTimeout);
    assert!(problem.detail.contains("rt-1"), "{problem}");
    assert!(start.elapsed() > GRACE && start.elapsed() < DEADLINE);
    assert_eq!(world.0.lock().unwrap().creates, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_gets_an_address_ends_at_the_deadline() {
    let world = world(1, Some(FakePod { address_after: Duration::from_hours(1), ..fresh(1) }));
    let start = Instant::now();
    assert_eq!(wake(&world).await.unwrap_err().code, ErrorCode::WakeTimeout);
    assert!(start.elapsed() >= DEADLINE && start.elapsed() < DEADLINE + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_ceiling_holds_until_a_place_is_free() {
    let world = world(0, None);
    let (other, start) = (world.clone(), Instant::now());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        other.0.lock().unwrap().ceiling = 1;
    });
    wake(&world).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn at_the_ceiling_the_deadline_says_so() {
    let world = world(0, None);
    let problem = waker(&world).wake(&request()).await.unwrap_err();
    assert!(matches!(problem.code, ErrorCode::CapacityReached | ErrorCode::WakeTimeout), "{problem}");
    assert!(problem.particulars().retry_after.is_some());
    assert_eq!(world.0.lock().unwrap().creates, 0);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_before_the_flight_and_the_next_caller_joins_it() {
    let world = world(1, None);
    let waker = waker(&world);
    let impatient = WakeRequest { patience: Duration::from_millis(100), ..request() };
    assert_eq!(waker.wake(&impatient).await.unwrap_err().code, ErrorCode::WakeTimeout);
    assert_eq!(waker.wake(&request()).await.unwrap().pod_uid, "uid-101");
    assert_eq!(world.0.lock().unwrap().creates, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_init_script_is_remembered_for_a_moment() {
    let world = world(1, Some(FakePod { granted: None, ..serving(1) }));
    world.0.lock().unwrap().pod.as_mut().unwrap().grant_problem = Some(ErrorCode::InitScriptFailed);
    let waker = waker(&world);
    assert_eq!(waker.wake(&request()).await.unwrap_err().code, ErrorCode::InitScriptFailed);
    let again = waker.wake(&request()).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::InitScriptFailed);
    assert!(again.particulars().retry_after.is_some());
    assert_eq!(world.0.lock().unwrap().grants, 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_wake_starts_nothing() {
    for code in [ErrorCode::Suspended, ErrorCode::NotFound, ErrorCode::TenantNotReady] {
        let world = world(1, None);
        world.0.lock().unwrap().refusal = Some(code);
        assert_eq!(wake(&world).await.unwrap_err().code, code);
        assert_eq!(world.0.lock().unwrap().creates, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_it_wakes_is_not_started_again() {
    let world = world(1, None);
    let deleter = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let mut state = deleter.0.lock().unwrap();
        state.pod = None;
        state.refusal = Some(ErrorCode::NotFound);
    });
    let start = Instant::now();
    assert_eq!(wake(&world).await.unwrap_err().code, ErrorCode::NotFound);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(world.0.lock().unwrap().creates, 1);
}

#[tokio::test(start_paused = true)]
async fn pods_that_end_before_they_serve_are_not_created_for_ever() {
    let world = world(1, None);
    let killer = world.clone();
    let killer = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            killer.0.lock().unwrap().pod = None;
            killer.0.lock().unwrap().slots_taken = 0;
        }
    });
    let problem = wake(&world).await.unwrap_err();
    killer.abort();
    assert_eq!(problem.code, ErrorCode::EngineFailed);
    assert_eq!(world.0.lock().unwrap().creates, 2);
}

#[tokio::test(start_paused = true)]
async fn only_if_running_starts_nothing() {
    let asleep = world(1, None);
    let looking = WakeRequest { only_if_running: true, ..request() };
    assert_eq!(waker(&asleep).wake(&looking).await.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(asleep.0.lock().unwrap().creates, 0);
    let awake = world(1, Some(serving(3)));
    assert_eq!(waker(&awake).wake(&looking).await.unwrap().pod_uid, "uid-3");
}

#[tokio::test(start_paused = true)]
async fn a_finished_pod_that_nobody_removes_is_removed() {
    let world = world(1, Some(FakePod { ends: Some(Instant::now()), ..serving(1) }));
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-101");
    assert_eq!(world.0.lock().unwrap().slots_taken, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_start_is_told_and_left_to_those_who_may_mend_it() {
    let stuck = FakePod { obstacle: Some("ErrImagePull: no such image"), ..fresh(1) };
    let world = world(1, Some(stuck));
    let problem = wake(&world).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::WakeTimeout);
    assert!(problem.detail.contains("no such image"), "{problem}");
    let impatient = WakeRequest { patience: Duration::from_secs(1), ..request() };
    let problem = waker(&world).wake(&impatient).await.unwrap_err();
    assert!(problem.detail.contains("no such image"), "{problem}");
    assert_eq!(world.0.lock().unwrap().creates, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_start_gives_way_to_one_that_is_made_of_something_else() {
    let stuck = FakePod { obstacle: Some("ErrImagePull: no such image"), template: "yesterday", ..fresh(1) };
    let changed = world(1, Some(stuck.clone()));
    assert_eq!(wake(&changed).await.unwrap().pod_uid, "uid-101");
    // One that starts is not replaced: it is of another release, and serves as well.
    let starts = world(1, Some(FakePod { obstacle: None, ..stuck }));
    assert_eq!(wake(&starts).await.unwrap().pod_uid, "uid-1");
}

#[tokio::test(start_paused = true)]
async fn at_the_ceiling_the_longest_idle_tenant_makes_room() {
    let world = full(&[("busy", 900, 1), ("recent", 30, 0), ("oldest", 600, 0)]).await;
    let start = Instant::now();
    wake(&world).await.unwrap();
    assert!(start.elapsed() >= SEAL, "the new pod came before the old one had sealed");
    let state = world.0.lock().unwrap();
    assert_eq!(
        (state.drained.as_slice(), state.slots_taken, state.told),
        (&["oldest".to_owned()][..], 3, None)
    );
}

#[tokio::test(start_paused = true)]
async fn several_wakes_make_room_one_after_another() {
    let world = full(&[("a", 100, 0), ("b", 200, 0), ("c", 300, 1)]).await;
    let waker = waker(&world);
    let key = |tenant: &str| WakeRequest { tenant: tenant.into(), ..request() };
    let (one, two) = (key("one"), key("two"));
    let watching = world.clone();
    let watcher = tokio::spawn(async move {
        loop {
            let leaving = watching.0.lock().unwrap().others.iter().filter(|o| o.leaves.is_some()).count();
            assert!(leaving <= 1, "two leave at once");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let (one, two) = tokio::join!(waker.wake(&one), waker.wake(&two));
    one.unwrap();
    two.unwrap();
    assert!(!watcher.is_finished(), "two left at once");
    watcher.abort();
    assert_eq!(world.0.lock().unwrap().drained, ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_who_works_or_was_active_a_moment_ago_makes_room() {
    let world = full(&[("busy", 900, 1), ("recent", 1, 0)]).await;
    let start = Instant::now();
    wake(&world).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(19), "it was idle for less than the class's least");
    assert_eq!(world.0.lock().unwrap().drained, ["recent"]);
}

#[tokio::test(start_paused = true)]
async fn status_tells_of_a_wake_that_waits_for_a_place_and_takes_it_back() {
    let world = full(&[("busy", 900, 1)]).await;
    let waker = waker(&world);
    let impatient = WakeRequest { patience: Duration::from_secs(30), ..request() };
    let problem = waker.wake(&impatient).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::CapacityReached);
    assert!(problem.particulars().retry_after.is_some());
    assert_eq!(world.0.lock().unwrap().told, Some(ErrorCode::CapacityReached));
    world.0.lock().unwrap().others[0].running = 0;
    waker.wake(&request()).await.unwrap();
    assert_eq!(world.0.lock().unwrap().told, None);
    // A refusal is told as well, and taken back by the next success.
    let full = full(&[("busy", 900, 1)]).await;
    wake(&full).await.unwrap_err();
    assert_eq!(full.0.lock().unwrap().told, Some(ErrorCode::CapacityReached));
    full.0.lock().unwrap().others[0].running = 0;
    wake(&full).await.unwrap();
    assert_eq!(full.0.lock().unwrap().told, None);
}

#[tokio::test(start_paused = true)]
async fn a_wal_that_no_pod_can_replay_costs_one_pod_a_wake_and_wakes_are_backed_off() {
    let world = world(1, None);
    world.0.lock().unwrap().unreplayable = true;
    let waker = waker(&world);
    for pods in 1..=8 {
        assert_eq!(waker.wake(&request()).await.unwrap_err().code, ErrorCode::ReplayFailed);
        let refused = waker.wake(&request()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::ReplayFailed);
        assert_eq!(world.0.lock().unwrap().creates, pods);
        tokio::time::advance(Duration::from_secs(refused.particulars().retry_after.unwrap().into())).await;
    }
    // A newer engine.
    world.0.lock().unwrap().unreplayable = false;
    tokio::time::advance(Duration::from_mins(1)).await;
    assert!(waker.wake(&request()).await.is_ok());
    assert_eq!(world.0.lock().unwrap().told, None);
}
