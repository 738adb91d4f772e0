//! Bad ends of a branch's pods lately, remembered by the elected replica until one serves again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use roost_crds::Reason;
use roost_protocol::problem::{ErrorCode, Problem};

use super::{Fault, codes};

/// Ends without a seal, one after another, that count as a loop.
pub const CRASH_LOOP: u32 = 3;
/// Branches remembered; beyond it the memory starts afresh.
const MAX_REMEMBERED: usize = 20_000;

/// Pods of one branch that ended badly, one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct BadEnds {
    /// Number of pods.
    pub count: u32,
    /// The problem that the last one told, or the kubelet told of it.
    pub problem: Problem,
    /// Pod whose end was counted last.
    pod_uid: String,
}

/// Bad ends, by tenant UID and branch.
#[derive(Debug, Default)]
pub struct BadEndsByBranch(Mutex<HashMap<(String, String), BadEnds>>);

impl BadEndsByBranch {
    /// Counts a bad end; the same pod's only once.
    pub fn add(&self, tenant_uid: &str, branch: &str, pod_uid: &str, problem: Problem) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_REMEMBERED {
            all.clear();
        }
        let key = (tenant_uid.to_owned(), branch.to_owned());
        let count = match all.get(&key) {
            Some(before) if before.pod_uid == pod_uid => return,
            Some(before) => before.count.saturating_add(1),
            None => 1,
        };
        all.insert(key, BadEnds { count, problem, pod_uid: pod_uid.to_owned() });
    }

    /// A pod serves, or sealed.
    pub fn clear(&self, tenant_uid: &str, branch: &str) {
        let key = (tenant_uid.to_owned(), branch.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// The bad ends that are remembered.
    pub fn get(&self, tenant_uid: &str, branch: &str) -> Option<BadEnds> {
        let key = (tenant_uid.to_owned(), branch.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}

impl BadEnds {
    /// The fault that the branch's conditions tell; none while it may have been chance.
    pub fn fault(&self) -> Option<Fault> {
        let crashes = || {
            // Another owner is how a takeover looks from the loser's side: it serves.
            let counts = self.problem.code != ErrorCode::Fenced && self.count >= CRASH_LOOP;
            counts.then_some(Reason::CrashLooping)
        };
        let reason = codes::of_pod(self.problem.code).or_else(crashes)?;
        let times = if self.count > 1 { format!(" ({} times)", self.count) } else { String::new() };
        Some(Fault::new(reason, format!("{}{times}", self.problem.detail)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repeated_crashes_are_a_loop_and_a_pod_counts_once() {
        let bad_ends = BadEndsByBranch::default();
        let crash = || Problem::new(ErrorCode::EngineFailed, "killed");
        for pod in ["a", "a", "b"] {
            bad_ends.add("t", "main", pod, crash());
        }
        assert_eq!(bad_ends.get("t", "main").unwrap().fault(), None);
        bad_ends.add("t", "main", "c", crash());
        assert_eq!(bad_ends.get("t", "main").unwrap().fault().unwrap().reason, Reason::CrashLooping);
        assert_eq!(bad_ends.get("t", "dev"), None);
        bad_ends.clear("t", "main");
        assert_eq!(bad_ends.get("t", "main"), None);
    }

    #[test]
    fn a_wal_that_cannot_be_replayed_counts_at_once_and_ends_with_a_pod_that_serves() {
        let bad_ends = BadEndsByBranch::default();
        for pod in ["a", "b"] {
            bad_ends.add("t", "main", pod, Problem::new(ErrorCode::ReplayFailed, "after 10:00"));
        }
        let fault = bad_ends.get("t", "main").unwrap().fault().unwrap();
        assert_eq!((fault.reason, fault.message.as_str()), (Reason::ReplayFailed, "after 10:00 (2 times)"));
        bad_ends.clear("t", "main");
        assert_eq!(bad_ends.get("t", "main"), None);
    }

    #[test]
    fn a_failed_init_script_counts_at_once() {
        let bad_ends = BadEndsByBranch::default();
        bad_ends.add("t", "main", "a", Problem::new(ErrorCode::InitScriptFailed, "line 2: no such table"));
        let fault = bad_ends.get("t", "main").unwrap().fault().unwrap();
        assert_eq!((fault.reason, fault.message.as_str()), (Reason::RestoreFailed, "line 2: no such table"));
    }
}
