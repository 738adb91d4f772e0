//! Meaning of a spec where it says nothing: the defaults, in one place, and the bounds of the class.
//!
//! Nothing here is written into a spec; resolved values go to status and to pods.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::networking::v1 as network;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::names::MAIN_BRANCH;
use crate::{
    Branch, BranchSpec, DeletionPolicy, Duration, EgressRule, OperatingMode, Quantity, ResourceList,
    SnapshotFormat, SnapshotSpec, Storage, TenantClass, TenantClassSpec, TenantSpec, Toleration,
};

/// Idle timeout of a tenant that states none, in seconds.
pub const IDLE_TIMEOUT_SECONDS: u64 = 5 * 60;
/// Least idle timeout of a class that states none, in seconds.
pub const IDLE_MIN_SECONDS: u64 = 30;
/// Greatest idle timeout of a class that states none, in seconds.
pub const IDLE_MAX_SECONDS: u64 = 24 * 3600;
/// Time to publish and seal, in seconds.
pub const TERMINATION_GRACE_SECONDS: u64 = 120;
/// Time a statement may run, in seconds.
pub const STATEMENT_TIMEOUT_SECONDS: u64 = 10 * 60;
/// Time that point-in-time recovery reaches back, in seconds.
pub const RECOVERY_WINDOW_SECONDS: u64 = 168 * 3600;
/// Runtime pods of a class at once.
pub const ACTIVE: u32 = 100;
/// Size limit of the cache volume.
pub const CACHE_SIZE: &str = "10Gi";
/// DuckDB's share of the container's memory.
pub const MEMORY_PERCENT: u8 = 75;
/// Region where a class names none.
pub const REGION: &str = "us-east-1";
/// Port that egress rules open where they name none.
pub const EGRESS_PORT: i32 = 443;

/// DuckDB's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Share of the container's memory limit, in percent (1 to 99).
    Percent(u8),
    /// Bytes.
    Bytes(u64),
}

impl MemoryLimit {
    /// Bytes in a container of `container` bytes. A size above the container's share is cut to that share.
    pub fn bytes(self, container: u64) -> u64 {
        let share = |percent: u8| {
            u64::try_from(u128::from(container) * u128::from(percent) / 100).unwrap_or(container)
        };
        match self {
            Self::Percent(percent) => share(percent.min(99)),
            Self::Bytes(bytes) => bytes.min(share(99)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|p| (1..=99).contains(p)).map(Self::Percent),
            None => Quantity::new(text).units().filter(|bytes| *bytes > 0).map(Self::Bytes),
        }
    }
}

impl Storage {
    /// Prefix without slashes at its ends; empty for none.
    pub fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default()
    }

    /// Region to sign for.
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or(REGION)
    }

    /// Whether the bucket is part of the path.
    pub fn path_style(&self) -> bool {
        self.path_style.unwrap_or(false)
    }

    /// Name of the Secret with the credentials, in the operator's namespace.
    pub fn credentials_secret(&self) -> Option<&str> {
        self.credentials.secret_ref.as_ref().map(|reference| reference.name.as_str())
    }

    /// Name of the Secret with the private CA, in the operator's namespace.
    pub fn ca_secret(&self) -> Option<&str> {
        self.ca_secret_ref.as_ref().map(|reference| reference.name.as_str())
    }

    /// Whether data written under one lies where the other looks.
    pub fn same_place(&self, other: &Self) -> bool {
        self.bucket == other.bucket && self.prefix() == other.prefix()
    }
}

impl TenantClass {
    /// Whether Tenants that name no class get this one.
    pub fn is_default(&self) -> bool {
        self.annotations().get(crate::names::DEFAULT_CLASS_ANNOTATION).is_some_and(|value| value == "true")
    }
}

impl TenantClassSpec {
    /// Idle timeout of a tenant that asks for `wanted`, within the class's bounds.
    pub fn idle_timeout(&self, wanted: Option<&Duration>) -> std::time::Duration {
        let stated = self.idle.as_ref().and_then(|idle| idle.timeout.as_ref());
        let seconds = wanted.or(stated).map_or(IDLE_TIMEOUT_SECONDS, Duration::as_secs);
        let (min, max) = self.idle_bounds();
        std::time::Duration::from_secs(seconds.clamp(min, max))
    }

    /// Least time that a tenant is idle before it is put to sleep, also to make room for another one.
    pub fn idle_least(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.idle_bounds().0)
    }

    /// Least and greatest idle time, in seconds. A class may state only one bound; the other default then gives way
    /// instead of crossing it.
    fn idle_bounds(&self) -> (u64, u64) {
        let idle = self.idle.clone().unwrap_or_default();
        let seconds = |duration: Option<&Duration>, default| duration.map_or(default, Duration::as_secs);
        let min = seconds(idle.min.as_ref(), IDLE_MIN_SECONDS.min(seconds(idle.max.as_ref(), u64::MAX)));
        (min, seconds(idle.max.as_ref(), IDLE_MAX_SECONDS.max(min)).max(min))
    }

    /// Time that point-in-time recovery reaches back.
    pub fn recovery_window(&self) -> std::time::Duration {
        std::time::Duration::from_secs(
            self.recovery_window.as_ref().map_or(RECOVERY_WINDOW_SECONDS, Duration::as_secs),
        )
    }

    /// Longest time that a query may take.
    pub fn statement_timeout(&self) -> std::time::Duration {
        let stated = self.limits.as_ref().and_then(|limits| limits.statement_timeout.as_ref());
        std::time::Duration::from_secs(stated.map_or(STATEMENT_TIMEOUT_SECONDS, Duration::as_secs))
    }

    /// Number of runtime pods that may exist at once.
    pub fn active(&self) -> u32 {
        let stated = self.limits.as_ref().and_then(|limits| limits.active);
        stated.and_then(|active| u32::try_from(active).ok()).unwrap_or(ACTIVE)
    }

    /// Longest time that a pod may take to publish and seal.
    pub fn termination_grace(&self) -> std::time::Duration {
        let stated = self.runtime.as_ref().and_then(|runtime| runtime.termination_grace_period.as_ref());
        std::time::Duration::from_secs(stated.map_or(TERMINATION_GRACE_SECONDS, Duration::as_secs))
    }

    /// Size limit of the cache volume.
    pub fn cache_size(&self) -> Quantity {
        let stated = self.runtime.as_ref().and_then(|runtime| runtime.cache_size.clone());
        stated.unwrap_or_else(|| Quantity::new(CACHE_SIZE))
    }

    /// Bytes that DuckDB may spill: half of the cache volume, so that spilling alone does not fill it.
    pub fn spill_limit(&self) -> u64 {
        self.cache_size().units().unwrap_or_default() / 2
    }

    /// Bytes that the local copy of the database should take: the other half, less room for the WAL and for what is on
    /// its way into the cache.
    pub fn cache_limit(&self) -> u64 {
        let size = self.cache_size().units().unwrap_or_default();
        size / 2 - size / 16
    }

    /// DuckDB's memory. Text that is no limit (the schema refuses it) counts as not stated.
    pub fn memory_limit(&self) -> MemoryLimit {
        let stated = self.engine.as_ref().and_then(|engine| engine.memory_limit.as_deref());
        stated.and_then(MemoryLimit::parse).unwrap_or(MemoryLimit::Percent(MEMORY_PERCENT))
    }

    /// DuckDB's threads, if the class states them.
    pub fn threads(&self) -> Option<u32> {
        self.engine.as_ref().and_then(|engine| engine.threads).and_then(|threads| u32::try_from(threads).ok())
    }
}

impl TenantSpec {
    /// Whether connections are served.
    pub fn operating_mode(&self) -> OperatingMode {
        self.operating_mode.unwrap_or_default()
    }

    /// Policy for the data on deletion.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or_default()
    }
}

impl BranchSpec {
    /// Whether connections are served.
    pub fn operating_mode(&self) -> OperatingMode {
        self.operating_mode.unwrap_or_default()
    }

    /// Policy for the data on deletion.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or_default()
    }
}

impl Branch {
    /// Name of the branch within the tenant.
    pub fn branch_name(&self) -> String {
        self.spec.branch_name.clone().unwrap_or_else(|| self.name_any())
    }
}

impl SnapshotSpec {
    /// Branch that it is taken of.
    pub fn branch_name(&self) -> &str {
        self.branch_name.as_deref().unwrap_or(MAIN_BRANCH)
    }

    /// Its form.
    pub fn format(&self) -> SnapshotFormat {
        self.format.unwrap_or_default()
    }

    /// Policy for the data on deletion.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or_default()
    }
}

impl From<ResourceList> for core::ResourceRequirements {
    fn from(list: ResourceList) -> Self {
        let quantities = |map: Option<std::collections::BTreeMap<String, Quantity>>| {
            map.map(|map| map.into_iter().map(|(name, quantity)| (name, quantity.into())).collect())
        };
        Self { requests: quantities(list.requests), limits: quantities(list.limits), ..Self::default() }
    }
}

impl From<Toleration> for core::Toleration {
    fn from(toleration: Toleration) -> Self {
        let Toleration { key, operator, value, effect, toleration_seconds } = toleration;
        Self { key, operator, value, effect, toleration_seconds }
    }
}

impl From<&EgressRule> for network::NetworkPolicyEgressRule {
    fn from(rule: &EgressRule) -> Self {
        let block = rule.cidr.clone().map(|cidr| network::IPBlock { cidr, except: None });
        let namespace = rule.namespace.clone().map(|name| LabelSelector {
            match_labels: Some([("kubernetes.io/metadata.name".to_owned(), name)].into()),
            ..LabelSelector::default()
        });
        let peer =
            network::NetworkPolicyPeer { ip_block: block, namespace_selector: namespace, pod_selector: None };
        let ports = rule.ports.clone().unwrap_or_else(|| vec![EGRESS_PORT]);
        Self { to: Some(vec![peer]), ports: Some(ports.into_iter().map(tcp).collect()) }
    }
}

fn tcp(port: i32) -> network::NetworkPolicyPort {
    network::NetworkPolicyPort {
        protocol: Some("TCP".to_owned()),
        port: Some(IntOrString::Int(port)),
        end_port: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(spec: &serde_json::Value) -> TenantClassSpec {
        let mut whole =
            json!({"storage": {"bucket": "tenants", "credentials": {"secretRef": {"name": "s3"}}}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn idle_timeouts_stay_within_bounds() {
        let table = [
            (json!({}), None, 300),
            (json!({}), Some("1s"), 30),
            (json!({}), Some("48h"), 86_400),
            (json!({"idle": {"timeout": "1m"}}), None, 60),
            (json!({"idle": {"min": "10m"}}), None, 600),
            (json!({"idle": {"max": "10s"}}), None, 10),
            (json!({"idle": {"min": "48h"}}), Some("1h"), 172_800),
            (json!({"idle": {"min": "1s", "timeout": "5s", "max": "1h"}}), Some("3s"), 3),
        ];
        for (spec, wanted, seconds) in table {
            let wanted = wanted.map(|text| text.parse::<Duration>().unwrap());
            assert_eq!(class(&spec).idle_timeout(wanted.as_ref()).as_secs(), seconds, "{spec}");
        }
    }

    #[test]
    fn nobody_makes_room_sooner_than_the_class_allows() {
        let table = [
            (json!({}), 30),
            (json!({"idle": {"min": "1s", "timeout": "5s"}}), 1),
            (json!({"idle": {"max": "10s"}}), 10),
        ];
        for (spec, seconds) in table {
            assert_eq!(class(&spec).idle_least().as_secs(), seconds, "{spec}");
        }
    }

    #[test]
    fn memory_never_exceeds_the_container() {
        let gib = 1 << 30;
        let table = [
            (json!({}), gib * 3 / 4),
            (json!({"engine": {"memoryLimit": "50%"}}), gib / 2),
            (json!({"engine": {"memoryLimit": "256Mi"}}), 256 << 20),
            (json!({"engine": {"memoryLimit": "64Gi"}}), gib * 99 / 100),
        ];
        for (spec, bytes) in table {
            assert_eq!(class(&spec).memory_limit().bytes(gib), bytes, "{spec}");
        }
    }

    #[test]
    fn an_empty_class_has_defaults() {
        let class = class(&json!({}));
        assert_eq!(class.active(), 100);
        assert_eq!(class.cache_size().units(), Some(10 << 30));
        assert_eq!((class.spill_limit(), class.cache_limit()), (5 << 30, 4_480 << 20));
        assert_eq!(class.statement_timeout().as_secs(), 600);
        assert_eq!(class.termination_grace().as_secs(), 120);
        assert_eq!(class.storage.region(), "us-east-1");
        assert_eq!(class.storage.credentials_secret(), Some("s3"));
    }

    #[test]
    fn egress_rules_become_network_policy() {
        let rules: Vec<EgressRule> = serde_json::from_value(
            json!([{"cidr": "10.0.0.0/8"}, {"namespace": "roost-s3", "ports": [8333, 443]}]),
        )
        .unwrap();
        let written: Vec<_> = rules.iter().map(network::NetworkPolicyEgressRule::from).collect();
        assert_eq!(
            serde_json::to_value(written).unwrap(),
            json!([
                {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"protocol": "TCP", "port": 443}]},
                {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "roost-s3"}}}],
                 "ports": [{"protocol": "TCP", "port": 8333}, {"protocol": "TCP", "port": 443}]},
            ])
        );
    }

    #[test]
    fn a_branch_is_named_like_its_object_unless_it_says_otherwise() {
        let mut branch = Branch::new("acme-dev", BranchSpec::default());
        assert_eq!(branch.branch_name(), "acme-dev");
        branch.spec.branch_name = Some("dev".to_owned());
        assert_eq!(branch.branch_name(), "dev");
    }
}
