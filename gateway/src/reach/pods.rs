//! The pods that the operator named, and how far each is still believed.

use super::presence::{Presence, Standing};
use crate::metrics::Metrics;
use moka::sync::Cache;
use roost_protocol::{BranchKey, wake::Route};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

/// Most pods remembered.
const MAX_PODS: u64 = 20_000;
/// Longest time that a pod is used before the operator is asked again, so that a changed class is noticed.
const POD_LIFETIME: Duration = Duration::from_mins(5);

/// A pod that serves a branch.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The way to it.
    pub route: Arc<Route>,
    /// Whether it is there.
    pub presence: Arc<Presence>,
}

/// The pods by branch.
pub struct Pods {
    known: Cache<BranchKey, Pod>,
    /// By pod UID, as long as anybody holds it: however often a pod is named, its connections are counted together.
    presences: Mutex<HashMap<String, Weak<Presence>>>,
    metrics: Arc<Metrics>,
}

impl Pods {
    /// None yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let known = Cache::builder().max_capacity(MAX_PODS).time_to_live(POD_LIFETIME).build();
        Self { known, presences: Mutex::default(), metrics }
    }

    /// The branch's pod, unless it is known to be gone.
    pub fn get(&self, key: &BranchKey) -> Option<Pod> {
        self.known.get(key).filter(|pod| pod.presence.standing() != Standing::Gone)
    }

    /// Remembers the pod that the operator named.
    pub fn named(&self, key: &BranchKey, route: Arc<Route>) -> Pod {
        let presence = self.presence(&route.pod_uid);
        presence.named();
        let pod = Pod { route, presence };
        self.known.insert(key.clone(), pod.clone());
        pod
    }

    /// Forgets a pod, unless the route has already been replaced.
    pub fn forget(&self, key: &BranchKey, pod_uid: &str) {
        if self.known.get(key).is_some_and(|pod| pod.route.pod_uid == pod_uid) {
            self.known.invalidate(key);
        }
    }

    /// Frees what is left of pods that nobody holds; called now and then.
    pub fn sweep(&self) {
        let mut presences = self.presences.lock().unwrap_or_else(PoisonError::into_inner);
        presences.retain(|_, presence| presence.strong_count() > 0);
    }

    fn presence(&self, pod_uid: &str) -> Arc<Presence> {
        let mut presences = self.presences.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(presence) = presences.get(pod_uid).and_then(Weak::upgrade) {
            return presence;
        }
        let presence = Arc::new(Presence::new(self.metrics.departures()));
        presences.insert(pod_uid.to_owned(), Arc::downgrade(&presence));
        presence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::{
        presence::End,
        samples::{branch, route},
    };

    #[test]
    fn a_pod_that_is_gone_is_believed_again_when_the_operator_names_it() {
        let pods = Pods::new(Arc::default());
        let key = branch();
        let known = pods.named(&key, Arc::new(route("a")));
        let connection = known.presence.connected();
        assert!(pods.get(&key).is_some());
        connection.ended(End::Theirs);
        assert!(pods.get(&key).is_none());
        pods.named(&key, Arc::new(route("a")));
        assert_eq!(known.presence.standing(), Standing::Named);
        assert!(pods.get(&key).is_some());
        pods.forget(&key, "b");
        assert!(pods.get(&key).is_some());
        pods.forget(&key, "a");
        assert!(pods.get(&key).is_none());
    }

    #[test]
    fn nothing_is_kept_of_a_pod_that_nobody_holds() {
        let pods = Pods::new(Arc::default());
        let key = branch();
        let known = pods.named(&key, Arc::new(route("a")));
        pods.sweep();
        assert_eq!(pods.presences.lock().unwrap().len(), 1);
        pods.forget(&key, "a");
        pods.known.run_pending_tasks();
        drop(known);
        pods.sweep();
        assert!(pods.presences.lock().unwrap().is_empty());
    }
}
