//! What a class means for pods and grants, beyond what `roost-crds` resolves.

use std::{collections::BTreeMap, time::Duration};

use roost_crds::{Quantity, ResourceList, TenantClassSpec};
use roost_protocol::grant::EngineLimits;

/// What a pod keeps of its termination grace for exiting after the seal.
const EXIT_MARGIN: Duration = Duration::from_secs(5);
/// The least that a drain is given.
const DRAIN_MIN: Duration = Duration::from_secs(5);
/// Requests of a runtime pod's container when the class states none.
const DEFAULT_REQUESTS: &[(&str, &str)] = &[("cpu", "100m"), ("memory", "512Mi")];
/// Its limits when the class states none.
const DEFAULT_LIMITS: &[(&str, &str)] = &[("memory", "1Gi")];

/// How long sealing may take once draining began: the grace without a margin to exit in.
pub fn drain_timeout(spec: &TenantClassSpec) -> Duration {
    spec.termination_grace().saturating_sub(EXIT_MARGIN).max(DRAIN_MIN)
}

/// Requests and limits of the container.
pub fn resources(spec: &TenantClassSpec) -> ResourceList {
    let stated = spec.runtime.as_ref().and_then(|runtime| runtime.resources.clone()).unwrap_or_default();
    let default = |list: &[(&str, &str)]| -> BTreeMap<String, Quantity> {
        list.iter().map(|(name, size)| ((*name).to_owned(), Quantity::new(*size))).collect()
    };
    // Requests that exceed a stated limit would be refused: with limits alone, Kubernetes derives the requests.
    let requests = match (&stated.requests, &stated.limits) {
        (None, Some(_)) => None,
        (None, None) => Some(default(DEFAULT_REQUESTS)),
        (Some(requests), _) => Some(requests.clone()),
    };
    ResourceList { requests, limits: Some(stated.limits.unwrap_or_else(|| default(DEFAULT_LIMITS))) }
}

/// Limits of the engine, for the grant.
pub fn engine_limits(spec: &TenantClassSpec) -> EngineLimits {
    let engine = spec.engine.clone().unwrap_or_default();
    EngineLimits {
        memory_limit: engine.memory_limit,
        threads: spec.threads(),
        settings: engine.settings.unwrap_or_default(),
        statement_timeout: spec.statement_timeout(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> TenantClassSpec {
        let storage = serde_json::json!({"bucket": "tenants", "credentials": {"secretRef": {"name": "s"}}});
        let mut whole = serde_json::json!({"storage": storage});
        if let (Some(whole), serde_json::Value::Object(more)) = (whole.as_object_mut(), json) {
            whole.extend(more);
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_drain_ends_before_the_kubelet_kills() {
        for (grace, drain) in [("120s", 115), ("30s", 25), ("3s", 5)] {
            let class = spec(serde_json::json!({"runtime": {"terminationGracePeriod": grace}}));
            assert_eq!(drain_timeout(&class), Duration::from_secs(drain), "{grace}");
        }
    }

    #[test]
    fn stated_limits_bring_no_default_requests() {
        let stated = spec(serde_json::json!({"runtime": {"resources": {"limits": {"memory": "256Mi"}}}}));
        assert!(resources(&stated).requests.is_none());
        assert!(resources(&spec(serde_json::json!({}))).requests.is_some());
    }
}
