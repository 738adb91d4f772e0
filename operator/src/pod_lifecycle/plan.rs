//! The next step for a pod: a pure function of the pod, of whether its owner exists, and of the time.

use std::time::Duration;

use jiff::Timestamp;

use crate::pods::{PodView, Purpose, Stage};

/// Longest time that a pod may take to get an address.
pub const START_LIMIT: Duration = Duration::from_mins(10);
/// Age from which a pod that is not ready is asked whether it still waits for its grant.
const GRANT_LIMIT: Duration = Duration::from_mins(3);
/// Longest time that a check of a replay may take, with the time in which somebody reads its result.
const REPLAY_CHECK_LIMIT: Duration = Duration::from_hours(2);

/// The object that a pod works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It exists.
    Exists,
    /// It is gone, or another one has its name.
    Gone,
}

/// The next step for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Wait,
    /// Keep the last words, then remove the pod.
    Retire,
    /// Remove the pod.
    Remove,
    /// Make it seal and leave.
    Drain,
    /// It does not start; say why and remove it.
    GiveUp,
    /// Ask whether it still waits for a grant; if so remove it.
    AskForGrant,
}

/// Plans.
pub fn plan(pod: &PodView, owner: Owner, now: Timestamp) -> Next {
    let age = pod.created.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
    let older = |limit| age.is_some_and(|age| age > limit);
    if pod.leaving {
        return Next::Wait;
    }
    match &pod.purpose {
        // Who started it removes it, unless it was left behind.
        Purpose::CheckReplay(_) => {
            let left_behind = owner == Owner::Gone || older(REPLAY_CHECK_LIMIT);
            if left_behind { Next::Remove } else { Next::Wait }
        }
        Purpose::TakeSnapshot { .. } => match (&pod.stage, owner) {
            (_, Owner::Gone) => Next::Remove,
            // Its end is its Snapshot's to conclude.
            (Stage::Finished { .. }, Owner::Exists) => Next::Wait,
            (stage, Owner::Exists) => on_its_way(stage, older),
        },
        Purpose::Serve(_) => match (&pod.stage, owner) {
            (Stage::Finished { .. }, Owner::Exists) => Next::Retire,
            (Stage::Finished { .. }, Owner::Gone) => Next::Remove,
            (_, Owner::Gone) => Next::Drain,
            (stage, Owner::Exists) => on_its_way(stage, older),
        },
    }
}

/// The next step for a pod that may be stuck before it has its task.
fn on_its_way(stage: &Stage, older: impl Fn(Duration) -> bool) -> Next {
    match stage {
        Stage::Starting if older(START_LIMIT) => Next::GiveUp,
        Stage::Running { ready: false, .. } if older(GRANT_LIMIT) => Next::AskForGrant,
        _ => Next::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::samples;

    fn pod(stage: Stage, snapshot: Option<&str>) -> PodView {
        let created = Some("2026-11-20T10:00:00Z".parse().unwrap());
        let of = samples::branch("main");
        let purpose = match snapshot {
            None => Purpose::Serve(of),
            Some(name) => Purpose::TakeSnapshot { of, snapshot: name.to_owned() },
        };
        PodView { purpose, stage, created, ..samples::pod() }
    }

    #[test]
    fn each_stage_of_a_pod_has_its_next_step() {
        let finished = || Stage::Finished { ending: None, exit: samples::exit("Error", 1) };
        let running = |ready| Stage::Running { address: "10.0.0.1".into(), ready };
        let check =
            |stage| PodView { purpose: Purpose::CheckReplay(samples::branch("main")), ..pod(stage, None) };
        let tomorrow = "2026-11-21T10:00:00Z".parse().unwrap();
        let (soon, late) = ("2026-11-20T10:00:05Z".parse().unwrap(), "2026-11-20T10:20:00Z".parse().unwrap());
        let table = [
            (pod(finished(), None), Owner::Exists, soon, Next::Retire),
            (pod(finished(), None), Owner::Gone, soon, Next::Remove),
            (pod(finished(), Some("s")), Owner::Exists, soon, Next::Wait),
            (pod(finished(), Some("s")), Owner::Gone, soon, Next::Remove),
            (pod(running(true), None), Owner::Exists, late, Next::Wait),
            (pod(running(true), None), Owner::Gone, soon, Next::Drain),
            (pod(running(false), Some("s")), Owner::Gone, soon, Next::Remove),
            (pod(running(false), None), Owner::Exists, soon, Next::Wait),
            (pod(running(false), None), Owner::Exists, late, Next::AskForGrant),
            (pod(Stage::Starting, None), Owner::Exists, soon, Next::Wait),
            (pod(Stage::Starting, None), Owner::Exists, late, Next::GiveUp),
            (PodView { leaving: true, ..pod(finished(), None) }, Owner::Gone, late, Next::Wait),
            (check(finished()), Owner::Exists, late, Next::Wait),
            (check(running(false)), Owner::Exists, late, Next::Wait),
            (check(running(false)), Owner::Exists, tomorrow, Next::Remove),
            (check(running(false)), Owner::Gone, soon, Next::Remove),
        ];
        for (pod, owner, now, next) in table {
            assert_eq!(plan(&pod, owner, now), next, "{pod:?} {owner:?}");
        }
    }
}
