//! The state of a branch by its pod, or by that it has none.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use roost_crds::{Duration, OperatingMode, PositionSummary, Reason, ServingState};
use roost_protocol::{
    status::{RuntimeState, RuntimeStatus},
    time::UnixMillis,
};

use super::{PodView, Stage, build::WRITES_REFUSED_AFTER};
use crate::storage::position;

/// A branch's pod and its word.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    /// The pod.
    pub pod: Option<PodView>,
    /// The status that it told when it was asked just now.
    pub runtime: Option<RuntimeStatus>,
}

impl Serving {
    /// Where the branch is in its life.
    pub fn state(&self) -> ServingState {
        let Some(pod) = &self.pod else { return ServingState::Idle };
        match (&pod.stage, self.runtime.as_ref().map(|runtime| runtime.state)) {
            (Stage::Finished { .. }, _) => ServingState::Idle,
            _ if pod.leaving => ServingState::Draining,
            (_, Some(RuntimeState::Draining | RuntimeState::Sealed)) => ServingState::Draining,
            (_, Some(RuntimeState::Serving)) | (Stage::Running { ready: true, .. }, None) => {
                ServingState::Serving
            }
            _ => ServingState::Waking,
        }
    }

    /// Whether the pod itself says that it serves. Its readiness is no such word: it may be older than the pod's end.
    pub fn is_said(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| runtime.state == RuntimeState::Serving)
    }

    /// Whether a commit has not reached the bucket for so long that the runtime refuses writes.
    fn publish_fails(&self) -> bool {
        let lag = self.runtime.as_ref().map(|runtime| runtime.durable_lag_millis).unwrap_or_default();
        std::time::Duration::from_millis(lag) > WRITES_REFUSED_AFTER
    }

    /// The reason that goes with the state, when nothing is wrong but what the pod itself tells.
    pub fn reason(&self, mode: OperatingMode) -> (Reason, &'static str) {
        match (mode, self.state()) {
            (OperatingMode::Suspended, ServingState::Idle) => {
                (Reason::Suspended, "sealed in the bucket; operatingMode refuses connections")
            }
            (OperatingMode::Suspended, _) => (Reason::Suspended, "its pod publishes and seals"),
            (OperatingMode::Running, ServingState::Serving) if self.publish_fails() => (
                Reason::PublishFailing,
                "the bucket has taken no commits for two minutes: writes are refused until it does; what durableLag \
                 says was answered as unknown, not as done. The runtime's log says why",
            ),
            (OperatingMode::Running, ServingState::Serving) => (Reason::Serving, "a pod answers queries"),
            (OperatingMode::Running, ServingState::Waking) => (Reason::Waking, "a pod is starting"),
            (OperatingMode::Running, ServingState::Draining) => {
                (Reason::Draining, "its pod publishes and seals")
            }
            (OperatingMode::Running, _) => (Reason::Idle, "sealed in the bucket; the next query wakes it"),
        }
    }

    /// The state as status shows it.
    pub fn shown_state(&self, mode: OperatingMode) -> ServingState {
        match (mode, self.state()) {
            (OperatingMode::Suspended, ServingState::Idle) => ServingState::Suspended,
            (_, state) => state,
        }
    }

    /// The facts that the pod told of its last publish, or left as its last words.
    pub fn facts(&self) -> Facts {
        if let Some(runtime) = &self.runtime {
            let lag = std::time::Duration::from_millis(runtime.durable_lag_millis).as_secs();
            return Facts {
                position: runtime.position.as_ref().map(position::shown),
                database_size: runtime.position.as_ref().map(|_| runtime.database_size),
                last_active: Some(coarse(runtime.last_active)),
                durable_lag: (lag > 0).then(|| Duration::from_secs(lag)),
            };
        }
        let Some(ending) = self.pod.as_ref().and_then(PodView::ending) else { return Facts::default() };
        Facts {
            position: ending.position.as_ref().map(position::shown),
            database_size: ending.database_size,
            last_active: ending.last_active.map(coarse),
            durable_lag: None,
        }
    }
}

/// Facts that pods tell and status keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Last published position.
    pub position: Option<PositionSummary>,
    /// Bytes of the database's file.
    pub database_size: Option<u64>,
    /// When it last had work, to the minute.
    pub last_active: Option<Time>,
    /// Age of the oldest commit that a crash would lose; none below a second.
    pub durable_lag: Option<Duration>,
}

/// To the minute, so that status is not written more often than that.
fn coarse(at: UnixMillis) -> Time {
    let minutes = i64::try_from(at.0 / 60_000).unwrap_or_default();
    Time(Timestamp::from_second(minutes * 60).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::samples;

    fn serving(stage: Option<Stage>, runtime: Option<RuntimeState>, leaving: bool) -> Serving {
        let pod = stage.map(|stage| PodView { stage, leaving, ..samples::pod() });
        let runtime = runtime.map(|state| RuntimeStatus {
            durable_lag_millis: 2_500,
            last_active: UnixMillis(119_999),
            ..samples::status(state)
        });
        Serving { pod, runtime }
    }

    #[test]
    fn the_pod_gives_its_branch_state_and_reason() {
        let running = |ready| Some(Stage::Running { address: "10.0.0.1".into(), ready });
        let finished = || Some(Stage::Finished { ending: None, exit: samples::exit("Completed", 0) });
        let table = [
            (serving(None, None, false), ServingState::Idle, Reason::Idle),
            (serving(Some(Stage::Starting), None, false), ServingState::Waking, Reason::Waking),
            (
                serving(running(false), Some(RuntimeState::Hydrating), false),
                ServingState::Waking,
                Reason::Waking,
            ),
            (
                serving(running(true), Some(RuntimeState::Serving), false),
                ServingState::Serving,
                Reason::Serving,
            ),
            (serving(running(true), None, false), ServingState::Serving, Reason::Serving),
            (
                serving(running(true), Some(RuntimeState::Draining), false),
                ServingState::Draining,
                Reason::Draining,
            ),
            (serving(running(true), None, true), ServingState::Draining, Reason::Draining),
            (serving(finished(), None, false), ServingState::Idle, Reason::Idle),
        ];
        for (serving, state, reason) in table {
            assert_eq!(serving.state(), state, "{serving:?}");
            assert_eq!(serving.reason(OperatingMode::Running).0, reason);
            assert_eq!(serving.reason(OperatingMode::Suspended).0, Reason::Suspended);
        }
        assert_eq!(serving(None, None, false).shown_state(OperatingMode::Suspended), ServingState::Suspended);
    }

    #[test]
    fn only_the_pods_own_word_ends_its_troubles() {
        let ready = || Some(Stage::Running { address: "10.0.0.1".into(), ready: true });
        assert!(serving(ready(), Some(RuntimeState::Serving), false).is_said());
        assert!(!serving(ready(), None, false).is_said());
        assert!(!serving(ready(), Some(RuntimeState::Hydrating), false).is_said());
    }

    #[test]
    fn facts_are_coarse() {
        let facts = serving(Some(Stage::Starting), Some(RuntimeState::Serving), false).facts();
        assert_eq!(facts.last_active.unwrap().0.as_second(), 60);
        assert_eq!(facts.durable_lag.unwrap().as_secs(), 2);
        assert_eq!(facts.database_size, None);
    }
}
