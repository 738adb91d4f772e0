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

/// Most routes remembered.
const MAX_ROUTES: u64 = 20_000;
/// How long a route is used before the operator is asked again, so that a changed class is noticed.
const ROUTE_LIFETIME: Duration = Duration::from_mins(5);

/// A pod that serves a branch.
#[derive(Clone, Debug)]
pub struct Known {
    /// The way to it.
    pub route: Arc<Route>,
    /// Whether it is there.
    pub presence: Arc<Presence>,
}

/// Routes by branch.
pub struct Routes {
    known: Cache<BranchKey, Known>,
    /// By pod UID, as long as anybody holds it: however often a pod is named, its connections are counted together.
    presences: Mutex<HashMap<String, Weak<Presence>>>,
    metrics: Arc<Metrics>,
}

impl Routes {
    /// None yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let known = Cache::builder().max_capacity(MAX_ROUTES).time_to_live(ROUTE_LIFETIME).build();
        Self { known, presences: Mutex::default(), metrics }
    }

    /// The branch's pod, unless it is known to be gone.
    pub fn get(&self, key: &BranchKey) -> Option<Known> {
        self.known.get(key).filter(|known| known.presence.standing() != Standing::Gone)
    }

    /// Remembers what the operator said.
    pub fn named(&self, key: &BranchKey, route: Arc<Route>) -> Known {
        let presence = self.presence(&route.pod_uid);
        presence.named();
        let known = Known { route, presence };
        self.known.insert(key.clone(), known.clone());
        known
    }

    /// Forgets a pod, unless the route has already been replaced.
    pub fn forget(&self, key: &BranchKey, pod_uid: &str) {
        if self.known.get(key).is_some_and(|known| known.route.pod_uid == pod_uid) {
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
    use crate::proxy::presence::End;

    fn route(uid: &str) -> Arc<Route> {
        Arc::new(Route {
            version: 1,
            pod: "rt-1".into(),
            pod_uid: uid.into(),
            address: "10.0.0.1".into(),
            port: 8443,
            tenant_uid: "t".into(),
            statement_timeout: Duration::from_secs(1),
        })
    }

    #[test]
    fn a_pod_that_is_gone_is_believed_again_when_the_operator_names_it() {
        let routes = Routes::new(Arc::default());
        let key = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: "main".into() };
        let known = routes.named(&key, route("a"));
        let witness = known.presence.connected();
        assert!(routes.get(&key).is_some());
        witness.over(End::Theirs);
        assert!(routes.get(&key).is_none());
        routes.named(&key, route("a"));
        assert_eq!(known.presence.standing(), Standing::Named);
        assert!(routes.get(&key).is_some());
        routes.forget(&key, "b");
        assert!(routes.get(&key).is_some());
        routes.forget(&key, "a");
        assert!(routes.get(&key).is_none());
    }

    #[test]
    fn nothing_is_kept_of_a_pod_that_nobody_holds() {
        let routes = Routes::new(Arc::default());
        let key = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: "main".into() };
        let known = routes.named(&key, route("a"));
        routes.sweep();
        assert_eq!(routes.presences.lock().unwrap().len(), 1);
        routes.forget(&key, "a");
        routes.known.run_pending_tasks();
        drop(known);
        routes.sweep();
        assert!(routes.presences.lock().unwrap().is_empty());
    }
}
