//! Runtime pods as objects: a pure function of the class, the place and the pod's identity.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction,
        LocalObjectReference, ObjectFieldSelector, Pod, PodSecurityContext, PodSpec, Probe, SeccompProfile,
        SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use kube::{Resource as _, ResourceExt as _};
use roost_crds::{TenantClass, names as crd};
use roost_protocol::{
    names::{HEALTH_PORT, INTERNAL_TLS_PORT},
    signing::VerifyingKey,
};

use super::{PodOf, names, resources::resources, view::TEMPLATE_ANNOTATION};
use crate::trust::Identity;

/// User and group of every process of ours.
const UID: i64 = 10001;
/// Where the cache volume is mounted.
const CACHE_DIR: &str = "/cache";
/// A runtime whose oldest unpublished commit is older than this refuses writes until a publish succeeds.
pub const WRITES_REFUSED_AFTER: Duration = Duration::from_mins(2);
/// Name of the only container.
const CONTAINER: &str = "runtime";

/// The part that every runtime pod of this installation has in common.
#[derive(Clone, Debug)]
pub struct PodDefaults {
    /// Namespace of runtime pods.
    pub namespace: String,
    /// Image.
    pub image: String,
    /// Always, IfNotPresent or Never.
    pub pull_policy: String,
    /// Secrets of that namespace with which the image is pulled.
    pub pull_secrets: Vec<String>,
    /// Log filter.
    pub log: String,
}

/// Proof of which pod this is, and whom it obeys.
#[derive(Debug)]
pub struct PodTrust<'a> {
    /// The pod's certificate and key.
    pub identity: &'a Identity,
    /// Key that grants and commands are signed with.
    pub operator_key: VerifyingKey,
}

/// The pod.
pub fn build(defaults: &PodDefaults, class: &TenantClass, of: &PodOf, trust: &PodTrust<'_>) -> Pod {
    let mut spec = spec(defaults, class);
    let metadata = metadata(defaults, class, of, name_of(&spec));
    for container in &mut spec.containers {
        container.env = Some(environment(defaults, class, trust));
    }
    Pod { metadata, spec: Some(spec), status: None }
}

/// Names what the pods of a class are made of: another name, another image, other resources or another place to run.
pub fn template(defaults: &PodDefaults, class: &TenantClass) -> String {
    name_of(&spec(defaults, class))
}

fn name_of(spec: &PodSpec) -> String {
    let spec = serde_json::to_vec(spec).unwrap_or_default();
    blake3::hash(&spec).to_hex()[..16].to_owned()
}

/// The spec but for the environment, which differs from pod to pod.
fn spec(defaults: &PodDefaults, class: &TenantClass) -> PodSpec {
    let runtime = class.spec.runtime.clone().unwrap_or_default();
    let grace = class.spec.termination_grace().as_secs();
    PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![container(defaults, class)],
        enable_service_links: Some(false),
        image_pull_secrets: pull_secrets(defaults),
        node_selector: runtime.node_selector,
        restart_policy: Some("Never".into()),
        runtime_class_name: runtime.runtime_class_name,
        security_context: Some(PodSecurityContext {
            fs_group: Some(UID),
            run_as_group: Some(UID),
            run_as_non_root: Some(true),
            run_as_user: Some(UID),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".into(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(i64::try_from(grace).unwrap_or(i64::MAX)),
        tolerations: runtime.tolerations.map(|all| all.into_iter().map(Into::into).collect()),
        volumes: Some(vec![Volume {
            name: "cache".into(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(class.spec.cache_size().into()),
                ..EmptyDirVolumeSource::default()
            }),
            ..Volume::default()
        }]),
        ..PodSpec::default()
    }
}

fn pull_secrets(defaults: &PodDefaults) -> Option<Vec<LocalObjectReference>> {
    let named = |name: &String| LocalObjectReference { name: name.clone() };
    let secrets: Vec<_> = defaults.pull_secrets.iter().map(named).collect();
    (!secrets.is_empty()).then_some(secrets)
}

fn metadata(defaults: &PodDefaults, class: &TenantClass, of: &PodOf, template: String) -> ObjectMeta {
    let class_name = class.name_any();
    let mut labels = BTreeMap::from([
        ("app.kubernetes.io/name", "tenant-runtime".to_owned()),
        (crd::MANAGED_BY_LABEL, crd::MANAGED_BY.to_owned()),
        (crd::CLASS_LABEL, names::class_hash(&class_name)),
    ]);
    labels.extend(of.labels());
    if class.spec.storage.egress.is_some() {
        labels.insert(crd::EGRESS_LABEL, crd::EGRESS_OF_CLASS.to_owned());
    }
    let mut annotations =
        BTreeMap::from([(crd::CLASS_ANNOTATION, class_name.clone()), (TEMPLATE_ANNOTATION, template)]);
    annotations.extend(of.annotations());
    let own =
        |map: BTreeMap<&str, String>| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    ObjectMeta {
        name: Some(of.name()),
        namespace: Some(defaults.namespace.clone()),
        labels: Some(own(labels)),
        annotations: Some(own(annotations)),
        owner_references: Some(vec![OwnerReference {
            api_version: TenantClass::api_version(&()).into_owned(),
            kind: TenantClass::kind(&()).into_owned(),
            name: class_name,
            uid: class.uid().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(false),
        }]),
        ..ObjectMeta::default()
    }
}

fn container(defaults: &PodDefaults, class: &TenantClass) -> Container {
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.into()),
        container_port: port.into(),
        ..ContainerPort::default()
    };
    Container {
        name: CONTAINER.into(),
        image: Some(defaults.image.clone()),
        image_pull_policy: Some(defaults.pull_policy.clone()),
        // Filled in for each pod.
        env: Some(Vec::new()),
        liveness_probe: Some(probe("/healthz", 10, 6)),
        ports: Some(vec![port("internal", INTERNAL_TLS_PORT), port("health", HEALTH_PORT)]),
        readiness_probe: Some(probe("/readyz", 1, 1)),
        resources: Some(resources(&class.spec).into()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), ..Capabilities::default() }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        termination_message_path: Some("/dev/termination-log".into()),
        termination_message_policy: Some("File".into()),
        volume_mounts: Some(vec![VolumeMount {
            name: "cache".into(),
            mount_path: CACHE_DIR.into(),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

fn environment(defaults: &PodDefaults, class: &TenantClass, trust: &PodTrust<'_>) -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.into(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: path.into(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let value = |name: &str, value: &str| EnvVar {
        name: name.into(),
        value: Some(value.into()),
        ..EnvVar::default()
    };
    vec![
        field("ROOST_POD_NAME", "metadata.name"),
        field("ROOST_POD_UID", "metadata.uid"),
        value("ROOST_TLS_CERT", &trust.identity.certificate),
        value("ROOST_TLS_KEY", &trust.identity.key),
        value("ROOST_OPERATOR_KEY", &trust.operator_key.to_string()),
        value("ROOST_CACHE_DIR", CACHE_DIR),
        value("ROOST_SPILL_LIMIT", &class.spec.spill_limit().to_string()),
        value("ROOST_CACHE_LIMIT", &class.spec.cache_limit().to_string()),
        value("ROOST_WRITES_REFUSED_AFTER", &format!("{}s", WRITES_REFUSED_AFTER.as_secs())),
        value("ROOST_LOG", &defaults.log),
    ]
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::Int(HEALTH_PORT.into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pods::{PodTask, PodView, Purpose, TenantBranch, samples},
        slots::Taken,
    };
    use serde_json::json;

    fn built(class: serde_json::Value, branch: &str, task: PodTask, pull_secrets: &[&str]) -> Pod {
        let class: TenantClass = serde_json::from_value(json!({
            "apiVersion": "roostdb.dev/v1alpha1", "kind": "TenantClass",
            "metadata": {"name": "standard", "uid": "class-uid"}, "spec": class,
        }))
        .unwrap();
        let defaults = PodDefaults {
            namespace: "roost-runtime".into(),
            image: "localhost/tenant-runtime:1".into(),
            pull_policy: "IfNotPresent".into(),
            pull_secrets: pull_secrets.iter().map(|name| (*name).to_owned()).collect(),
            log: "info".into(),
        };
        let identity = Identity { certificate: "CERTIFICATE".into(), key: "KEY".into() };
        let operator_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
        let branch = TenantBranch { tenant_uid: "tenant-uid".into(), ..samples::branch(branch) };
        let of = PodOf { branch, task };
        let trust = PodTrust { identity: &identity, operator_key };
        build(&defaults, &class, &of, &trust)
    }

    fn golden(class: serde_json::Value, branch: &str, task: PodTask, pull_secrets: &[&str]) -> String {
        serde_yaml::to_string(&built(class, branch, task, pull_secrets)).unwrap()
    }

    fn storage() -> serde_json::Value {
        json!({"bucket": "tenants", "credentials": {"secretRef": {"name": "r2"}}})
    }

    #[test]
    fn what_a_pod_is_made_for_is_read_of_it_again() {
        let of = TenantBranch { tenant_uid: "tenant-uid".into(), ..samples::branch("dev") };
        let slot = Taken { name: "abc-7".into(), token: "t".into() };
        let snapshot = || "nightly".to_owned();
        let table = [
            (PodTask::Serve { slot: slot.clone() }, Purpose::Serve(of.clone()), Some(slot)),
            (
                PodTask::TakeSnapshot { snapshot: snapshot(), snapshot_uid: "snapshot-uid".into() },
                Purpose::TakeSnapshot { of: of.clone(), snapshot: snapshot() },
                None,
            ),
            (PodTask::CheckReplay, Purpose::CheckReplay(of), None),
        ];
        for (task, purpose, slot) in table {
            let view = PodView::of(&built(json!({"storage": storage()}), "dev", task, &[]));
            assert_eq!((view.purpose, view.slot), (purpose, slot));
        }
    }

    #[test]
    fn a_serving_pod_of_the_plainest_class() {
        let task = PodTask::Serve { slot: Taken { name: "abc-7".into(), token: "t".into() } };
        insta::assert_snapshot!(golden(json!({"storage": storage()}), "main", task, &[]));
    }

    #[test]
    fn a_worker_of_a_class_that_states_everything() {
        let mut storage = storage();
        storage["egress"] = json!([{"namespace": "s3"}]);
        let class = json!({"storage": storage, "runtime": {
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "cacheSize": "5Gi", "nodeSelector": {"pool": "duck"}, "runtimeClassName": "gvisor",
            "tolerations": [{"key": "duck", "operator": "Exists", "effect": "NoSchedule"}],
            "terminationGracePeriod": "1m"}});
        let task = PodTask::TakeSnapshot { snapshot: "nightly".into(), snapshot_uid: "snapshot-uid".into() };
        insta::assert_snapshot!(golden(class, "dev", task, &["registry"]));
    }
}
