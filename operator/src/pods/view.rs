//! A runtime pod as the operator sees it: folded out of the Pod object.

use k8s_openapi::{
    api::core::v1::{Pod, PodStatus},
    jiff::Timestamp,
};
use kube::ResourceExt as _;
use roost_crds::Quantity;
use roost_protocol::{names::INTERNAL_TLS_PORT, status::Ending};

use super::{
    exit::Exit,
    purpose::{Purpose, SLOT_ANNOTATION},
};
use crate::slots::Taken;

/// Annotation with the template that the pod is made of, as [`template`](super::build::template) names it.
pub const TEMPLATE_ANNOTATION: &str = "roostdb.dev/template";

/// The address of a pod, and the name that its certificate carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodAddress {
    /// Pod name; its certificate carries it.
    pub name: String,
    /// IP address.
    pub address: String,
    /// TLS port.
    pub port: u16,
}

/// Stage of a pod's life.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Exists; has no address yet, or cannot start.
    Starting,
    /// Has an address; its process may listen.
    Running {
        /// IP address.
        address: String,
        /// Whether its readiness probe says that it serves.
        ready: bool,
    },
    /// Its process ended.
    Finished {
        /// Its last words, if it left any that can be read.
        ending: Option<Box<Ending>>,
        /// The way in which it ended.
        exit: Exit,
    },
}

/// A runtime pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodView {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Version, to watch from.
    pub resource_version: Option<String>,
    /// The task that it was made for, and the branch whose data it works on.
    pub purpose: Purpose,
    /// Stage of its life.
    pub stage: Stage,
    /// Whether its deletion was asked for.
    pub leaving: bool,
    /// Slot it occupies.
    pub slot: Option<Taken>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Why it does not start, when the kubelet or the scheduler says so.
    pub obstacle: Option<String>,
    /// The template that it is made of.
    pub template: Option<String>,
    /// Most bytes that its cache volume may hold.
    pub cache_bytes: Option<u64>,
}

impl PodView {
    /// Folds a Pod.
    pub fn of(pod: &Pod) -> Self {
        let annotation = |name: &str| pod.annotations().get(name).cloned();
        let obstacle = obstacle(pod);
        Self {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            resource_version: pod.resource_version(),
            purpose: Purpose::of(pod),
            stage: stage(pod, obstacle.is_some()),
            leaving: pod.metadata.deletion_timestamp.is_some(),
            slot: annotation(SLOT_ANNOTATION).as_deref().and_then(Taken::parse),
            created: pod.creation_timestamp().map(|time| time.0),
            obstacle,
            template: annotation(TEMPLATE_ANNOTATION),
            cache_bytes: cache_bytes(pod),
        }
    }

    /// Where to call it, once it has an address and as long as it has not ended.
    pub fn address(&self) -> Option<PodAddress> {
        match &self.stage {
            Stage::Running { address, .. } => Some(PodAddress {
                name: self.name.clone(),
                address: address.clone(),
                port: INTERNAL_TLS_PORT,
            }),
            _ => None,
        }
    }

    /// Whether its process ended.
    pub fn finished(&self) -> bool {
        matches!(self.stage, Stage::Finished { .. })
    }

    /// Its last words.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.stage {
            Stage::Finished { ending, .. } => ending.as_deref(),
            _ => None,
        }
    }
}

fn stage(pod: &Pod, stuck: bool) -> Stage {
    let status = pod.status.as_ref();
    if let Some((ending, exit)) = status.and_then(finished) {
        return Stage::Finished { ending: ending.map(Box::new), exit };
    }
    // A pod has its address before its image.
    match status.and_then(|status| status.pod_ip.clone()).filter(|_| !stuck) {
        Some(address) => {
            let ready = status
                .and_then(|status| status.conditions.as_ref())
                .is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
            Stage::Running { address, ready }
        }
        None => Stage::Starting,
    }
}

/// The last words and the exit, once the process ended.
fn finished(status: &PodStatus) -> Option<(Option<Ending>, Exit)> {
    // The container's state is seen before the phase follows it.
    let container = status.container_statuses.as_ref().and_then(|all| all.first()?.state.as_ref());
    let terminated = container.and_then(|state| state.terminated.as_ref());
    let phase = status.phase.as_deref().unwrap_or_default();
    if terminated.is_none() && !matches!(phase, "Succeeded" | "Failed") {
        return None;
    }
    let words = terminated.and_then(|terminated| terminated.message.as_deref());
    let ending = words.and_then(|text| serde_json::from_str(text).ok());
    let exit = match (&status.reason, terminated) {
        // The pod as a whole came to an end.
        (Some(reason), _) => Exit::ByNode { reason: reason.clone(), message: status.message.clone() },
        (None, Some(terminated)) => Exit::Process {
            reason: terminated.reason.clone().unwrap_or_default(),
            code: terminated.exit_code,
        },
        (None, None) => Exit::Unknown { phase: phase.to_owned() },
    };
    Some((ending, exit))
}

fn cache_bytes(pod: &Pod) -> Option<u64> {
    let mut volumes = pod.spec.as_ref()?.volumes.iter().flatten();
    let limit = volumes.find_map(|volume| volume.empty_dir.as_ref()?.size_limit.clone())?;
    Quantity::new(limit.0).units()
}

fn obstacle(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let waiting = status
        .container_statuses
        .iter()
        .flatten()
        .filter_map(|container| container.state.as_ref()?.waiting.as_ref())
        .find(|waiting| {
            !matches!(waiting.reason.as_deref(), None | Some("ContainerCreating" | "PodInitializing"))
        });
    if let Some(waiting) = waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        return Some(format!("{reason}: {}", waiting.message.as_deref().unwrap_or_default()));
    }
    let condition =
        status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(format!(
        "{}: {}",
        condition.reason.as_deref().unwrap_or_default(),
        condition.message.as_deref().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: serde_json::Value) -> PodView {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "rt-1", "uid": "u", "labels": {"roostdb.dev/tenant-uid": "t", "roostdb.dev/branch": "main"}},
            "status": status,
        }))
        .unwrap();
        PodView::of(&pod)
    }

    fn stage_text(pod: &PodView) -> String {
        match &pod.stage {
            Stage::Finished { exit, .. } => exit.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_status_of_a_pod_gives_its_stage() {
        assert_eq!(pod(json!({"phase": "Pending"})).stage, Stage::Starting);
        let running = pod(json!({"phase": "Running", "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!(running.stage, Stage::Running { address: "10.0.0.1".into(), ready: true });
        assert_eq!(running.address().unwrap().port, 8443);
        let evicted = pod(json!({"phase": "Failed", "reason": "Evicted", "podIP": "10.0.0.1"}));
        let exit = Exit::ByNode { reason: "Evicted".into(), message: None };
        assert_eq!(exit.to_string(), "Evicted");
        assert_eq!(evicted.stage, Stage::Finished { ending: None, exit });
        assert!(evicted.address().is_none());
    }

    #[test]
    fn an_eviction_is_told_in_the_words_of_the_kubelet() {
        let message = "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Gi\". ";
        let exit = Exit::ByNode { reason: "Evicted".into(), message: Some(message.into()) };
        assert_eq!(exit.to_string(), format!("Evicted: {}", message.trim()));
        let evicted = Stage::Finished { ending: None, exit };
        let failed = pod(json!({"phase": "Failed", "reason": "Evicted", "message": message,
            "containerStatuses": [{
                "name": "runtime", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 137, "reason": "Error"}}}]}));
        assert_eq!(failed.stage, evicted);
    }

    #[test]
    fn last_words_are_read_and_nonsense_is_not() {
        let words = |message: &str| {
            pod(json!({"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [{
                "name": "runtime", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "reason": "Completed", "message": message}}}]}))
        };
        let sealed = words(
            r#"{"state":"sealed","position":null,"databaseSize":4096,"lastActive":7,"problem":null,"snapshot":null}"#,
        );
        assert_eq!(sealed.ending().unwrap().database_size, Some(4096));
        assert_eq!(stage_text(&sealed), "Completed, exit code 0");
        let killed = words("panicked at");
        assert!(killed.finished() && killed.ending().is_none());
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_told() {
        // It has its address by then, and no process that could be called.
        let stuck = pod(json!({"phase": "Pending", "podIP": "10.0.0.1", "containerStatuses": [{
            "name": "runtime", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}));
        assert_eq!(stuck.obstacle.as_deref(), Some("ImagePullBackOff: no such image"));
        assert_eq!((&stuck.stage, stuck.address()), (&Stage::Starting, None));
    }
}
