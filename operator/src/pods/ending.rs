//! The end of a runtime pod, judged: for the branch that it served, and for people.

use roost_protocol::{
    problem::{ErrorCode, Problem},
    status::RuntimeState,
};

use super::{Exit, PodView, Stage};

/// Why a pod ended, when that was not a seal.
pub fn bad_end(pod: &PodView) -> Option<Problem> {
    let Stage::Finished { ending, exit } = &pod.stage else { return None };
    match ending.as_deref() {
        Some(ending) if ending.state == RuntimeState::Sealed => None,
        Some(ending) if ending.state == RuntimeState::Fenced => {
            let detail = "another owner took the branch over".to_owned();
            Some(ending.problem.clone().unwrap_or_else(|| Problem::new(ErrorCode::Fenced, detail)))
        }
        // It left these words before it replayed a WAL, and said no others: they hold if the replay is what it died of.
        Some(ending) if ending.state == RuntimeState::Hydrating => {
            let killed = || Problem::new(ErrorCode::EngineFailed, without_words(exit));
            Some(ending.problem.clone().filter(|_| exit.is_crash()).unwrap_or_else(killed))
        }
        Some(ending) => {
            let unknown = || Problem::new(ErrorCode::EngineFailed, format!("the pod failed: {exit}"));
            Some(ending.problem.clone().unwrap_or_else(unknown))
        }
        None => Some(Problem::new(ErrorCode::EngineFailed, without_words(exit))),
    }
}

/// The words for a pod that could not say anything itself.
fn without_words(exit: &Exit) -> String {
    let hint = if exit.is_out_of_memory() {
        ". It needed more memory than runtime.resources.limits.memory of its TenantClass"
    } else if exit.is_killed() {
        ". SIGKILL ended it, and its node does not say who sent that: the node itself, somebody on it, or the kernel, when \
         memory runs out; the node's kernel log tells"
    } else {
        ""
    };
    format!("the pod ended without last words: {exit}{hint}")
}

/// Reason and note of the Event that tells of an end which is not routine.
pub fn farewell(pod: &PodView) -> Option<(&'static str, String)> {
    if let Some(problem) = bad_end(pod) {
        let reason = if problem.code == ErrorCode::Fenced { "Fenced" } else { "PodFailed" };
        return Some((reason, format!("pod {}: {problem}", pod.name)));
    }
    // Its node ends such a pod, which has the time to publish and seal, and the next one ends the same way.
    let (size, room) = (pod.ending()?.database_size?, pod.cache_bytes?);
    (size > room).then(|| {
        let note = format!(
            "pod {} lost nothing, but its database of {size} bytes has outgrown its cache volume of {room} bytes, for \
             which its node ends it: raise runtime.cacheSize of its TenantClass",
            pod.name
        );
        ("CacheFull", note)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::samples::{self, exit};

    const SIZE: u64 = 4096;

    fn pod(stage: Stage) -> PodView {
        PodView { stage, ..samples::pod() }
    }

    fn end(state: RuntimeState, exit: Exit) -> PodView {
        let ending = roost_protocol::status::Ending {
            state,
            position: None,
            database_size: Some(SIZE),
            last_active: None,
            problem: None,
            report: None,
        };
        pod(Stage::Finished { ending: Some(Box::new(ending)), exit })
    }

    fn evicted(message: &str) -> Exit {
        Exit::ByNode { reason: "Evicted".into(), message: Some(message.into()) }
    }

    #[test]
    fn only_a_seal_is_a_good_end() {
        let code = |state| bad_end(&end(state, exit("Completed", 0))).map(|problem| problem.code);
        assert_eq!(code(RuntimeState::Sealed), None);
        assert_eq!(code(RuntimeState::Fenced), Some(ErrorCode::Fenced));
        assert_eq!(code(RuntimeState::Failed), Some(ErrorCode::EngineFailed));
        let detail = |exit: Exit| bad_end(&pod(Stage::Finished { ending: None, exit })).unwrap().detail;
        let killed = detail(exit("OOMKilled", 137));
        assert!(killed.contains("OOMKilled") && killed.contains("limits.memory"), "{killed}");
        assert!(!detail(exit("StartError", 128)).contains("memory"));
        // SIGKILL has many senders, and an eviction has a reason of its own.
        let killed = detail(exit("Error", 137));
        assert!(killed.contains("SIGKILL") && !killed.contains("limits.memory"), "{killed}");
        let evicted = detail(evicted("the container was OOMKilled, exit code 137"));
        assert!(!evicted.contains("SIGKILL") && !evicted.contains("limits.memory"), "{evicted}");
    }

    #[test]
    fn who_dies_while_it_replays_is_believed_unless_it_was_killed() {
        let died = |exit: &Exit| {
            let mut pod = end(RuntimeState::Hydrating, exit.clone());
            if let Stage::Finished { ending: Some(ending), .. } = &mut pod.stage {
                ending.problem = Some(Problem::new(ErrorCode::ReplayFailed, "after 10:00"));
            }
            bad_end(&pod).unwrap()
        };
        for crash in [132, 134, 135, 136, 139].map(|code| exit("Error", code)) {
            assert_eq!(died(&crash), Problem::new(ErrorCode::ReplayFailed, "after 10:00"), "{crash}");
        }
        for kill in [
            exit("OOMKilled", 137),
            exit("Error", 137),
            evicted("the node is full"),
            evicted("the container ended with exit code 139"),
        ] {
            assert_eq!(died(&kill).code, ErrorCode::EngineFailed, "{kill}");
        }
        assert!(died(&exit("OOMKilled", 137)).detail.contains("limits.memory"));
    }

    #[test]
    fn a_database_that_has_outgrown_its_volume_is_told_and_a_seal_is_not() {
        let sealed = |cache_bytes| {
            farewell(&PodView { cache_bytes, ..end(RuntimeState::Sealed, exit("Completed", 0)) })
        };
        assert_eq!(sealed(None), None);
        assert_eq!(sealed(Some(SIZE)), None);
        let (reason, note) = sealed(Some(SIZE - 1)).unwrap();
        assert_eq!(reason, "CacheFull");
        assert!(note.contains("runtime.cacheSize") && note.contains(&SIZE.to_string()), "{note}");
    }
}
