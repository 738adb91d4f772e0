//! What a class says, with every default filled in.

use std::{collections::BTreeMap, time::Duration};

use roost_crds::{Quantity, TenantClass, TenantClassSpec};
use roost_protocol::grant::EngineLimits;

/// `idle.timeout` when absent.
pub const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// `idle.min` when absent.
pub const IDLE_MIN: Duration = Duration::from_secs(30);
/// `idle.max` when absent.
pub const IDLE_MAX: Duration = Duration::from_hours(24);
/// `limits.active` when absent.
pub const ACTIVE: u32 = 100;
/// `limits.statementTimeout` when absent.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);
/// `runtime.terminationGracePeriod` when absent.
pub const TERMINATION_GRACE: Duration = Duration::from_mins(2);
/// `runtime.cacheSize` when absent.
pub const CACHE_SIZE: &str = "10Gi";
/// What a pod keeps of its termination grace for exiting after the seal.
const EXIT_MARGIN: Duration = Duration::from_secs(5);
/// The least that a drain is given.
const DRAIN_MIN: Duration = Duration::from_secs(5);

/// Requests of a runtime pod's container when the class states none.
const DEFAULT_REQUESTS: &[(&str, &str)] = &[("cpu", "100m"), ("memory", "512Mi")];
/// Its limits when the class states none.
const DEFAULT_LIMITS: &[(&str, &str)] = &[("memory", "1Gi")];

/// A length of time of the spec, or its default.
fn or(duration: Option<&roost_crds::Duration>, default: Duration) -> Duration {
    duration.map_or(default, roost_crds::Duration::as_std)
}

/// How many runtime pods of the class may exist at once.
pub fn active(spec: &TenantClassSpec) -> u32 {
    let limit = spec.limits.as_ref().and_then(|limits| limits.active);
    limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(ACTIVE)
}

/// Longest time one request may take.
pub fn statement_timeout(spec: &TenantClassSpec) -> Duration {
    or(spec.limits.as_ref().and_then(|limits| limits.statement_timeout.as_ref()), STATEMENT_TIMEOUT)
}

/// How long a pod may take to leave.
pub fn termination_grace(spec: &TenantClassSpec) -> Duration {
    or(spec.runtime.as_ref().and_then(|runtime| runtime.termination_grace_period.as_ref()), TERMINATION_GRACE)
}

/// How long sealing may take once draining began: the grace without a margin to exit in.
pub fn drain_timeout(spec: &TenantClassSpec) -> Duration {
    termination_grace(spec).saturating_sub(EXIT_MARGIN).max(DRAIN_MIN)
}

/// What a tenant asked for, within the class's bounds.
pub fn idle_timeout(spec: &TenantClassSpec, asked: Option<&roost_crds::Duration>) -> Duration {
    let idle = spec.idle.clone().unwrap_or_default();
    let min = or(idle.min.as_ref(), IDLE_MIN);
    let max = or(idle.max.as_ref(), IDLE_MAX).max(min);
    or(asked.or(idle.timeout.as_ref()), IDLE_TIMEOUT).clamp(min, max)
}

/// Size limit of the cache volume.
pub fn cache_size(spec: &TenantClassSpec) -> String {
    let size = spec.runtime.as_ref().and_then(|runtime| runtime.cache_size.as_ref());
    size.map_or_else(|| CACHE_SIZE.to_owned(), |size| size.as_str().to_owned())
}

/// Requests and limits of the container.
pub fn resources(spec: &TenantClassSpec) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let list = spec.runtime.as_ref().and_then(|runtime| runtime.resources.clone()).unwrap_or_default();
    let filled = |stated: Option<BTreeMap<String, Quantity>>, defaults: &[(&str, &str)]| match stated {
        Some(stated) => stated.into_iter().map(|(name, size)| (name, size.as_str().to_owned())).collect(),
        None => defaults.iter().map(|(name, size)| ((*name).to_owned(), (*size).to_owned())).collect(),
    };
    // Requests that exceed a stated limit would be refused: with limits alone, Kubernetes derives the requests.
    let requests = if list.requests.is_none() && list.limits.is_some() {
        BTreeMap::new()
    } else {
        filled(list.requests, DEFAULT_REQUESTS)
    };
    (requests, filled(list.limits, DEFAULT_LIMITS))
}

/// Limits of the engine, for the grant.
pub fn engine_limits(spec: &TenantClassSpec) -> EngineLimits {
    let engine = spec.engine.clone().unwrap_or_default();
    EngineLimits {
        memory_limit: engine.memory_limit,
        threads: engine.threads.and_then(|threads| u32::try_from(threads).ok()),
        settings: engine.settings.unwrap_or_default(),
        statement_timeout: statement_timeout(spec),
    }
}

/// Whether two classes keep their data in the same place: then a tenant may move between them.
pub fn same_place(one: &TenantClass, other: &TenantClass) -> bool {
    let (one, other) = (&one.spec.storage, &other.spec.storage);
    one.bucket == other.bucket && one.prefix == other.prefix && one.endpoint == other.endpoint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> TenantClassSpec {
        let mut whole = serde_json::json!({"storage": {"bucket": "tenants", "credentials": {"secretRef": {"name": "s"}}}});
        if let (Some(whole), serde_json::Value::Object(more)) = (whole.as_object_mut(), json) {
            whole.extend(more);
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn idle_timeout_stays_within_the_class() {
        let class = spec(serde_json::json!({"idle": {"timeout": "10m", "min": "1m", "max": "1h"}}));
        let ask = |text: &str| text.parse::<roost_crds::Duration>().unwrap();
        for (asked, seconds) in [(None, 600), (Some("5s"), 60), (Some("2h"), 3600), (Some("90s"), 90)] {
            let asked = asked.map(ask);
            assert_eq!(idle_timeout(&class, asked.as_ref()), Duration::from_secs(seconds), "{asked:?}");
        }
        assert_eq!(idle_timeout(&spec(serde_json::json!({})), None), IDLE_TIMEOUT);
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
        let class = spec(serde_json::json!({"runtime": {"resources": {"limits": {"memory": "256Mi"}}}}));
        let (requests, limits) = resources(&class);
        assert!(requests.is_empty());
        assert_eq!(limits["memory"], "256Mi");
    }
}
