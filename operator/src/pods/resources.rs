//! Requests and limits of a runtime pod.

use std::collections::BTreeMap;

use roost_crds::{Quantity, ResourceList, TenantClassSpec};

/// Requests of a runtime pod's container when the class states none.
const DEFAULT_REQUESTS: &[(&str, &str)] = &[("cpu", "100m"), ("memory", "512Mi")];
/// Its limits when the class states none.
const DEFAULT_LIMITS: &[(&str, &str)] = &[("memory", "1Gi")];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::samples::spec;

    #[test]
    fn stated_limits_bring_no_default_requests() {
        let stated = spec(serde_json::json!({"runtime": {"resources": {"limits": {"memory": "256Mi"}}}}));
        assert!(resources(&stated).requests.is_none());
        assert!(resources(&spec(serde_json::json!({}))).requests.is_some());
    }
}
