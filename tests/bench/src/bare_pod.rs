//! A pod that does nothing, as the floor of what a pod with a tenant can cost.

use anyhow::{Context as _, Result};
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
};
use roost_tests::{Roost, cluster::random_suffix, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

/// Image that every node has, for the sandboxes of its pods.
const IMAGE: &str = "registry.k8s.io/pause:3.10.1";
const PATIENCE: Duration = Duration::from_mins(1);

/// Creates one beside the runtime pods and removes it again; returns the time until the API server showed it Ready.
pub async fn start(roost: &Roost) -> Result<Duration> {
    let name = format!("bare-{}", random_suffix());
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "automountServiceAccountToken": false, "enableServiceLinks": false, "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
                                "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "cache", "emptyDir": {}}],
            "containers": [{
                "name": "pause", "image": IMAGE, "imagePullPolicy": "Never",
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                    "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
            }],
        },
    }))?;
    let pods = roost.pods();
    let begun = Instant::now();
    let created = pods.create(&PostParams::default(), &pod).await?;
    let version = created.resource_version().context("a pod without version")?;
    let only = WatchParams::default().fields(&format!("metadata.name={name}"));
    let events = pods.watch(&only, &version).await?;
    let ready = async {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Modified(pod) = event
                && is_ready(&pod)
            {
                break;
            }
        }
        anyhow::Ok(begun.elapsed())
    };
    let took = tokio::time::timeout(PATIENCE, ready).await;
    pods.delete(&name, &DeleteParams::default()).await?;
    eventually("the bare pod is gone", PATIENCE, || async {
        match pods.get_opt(&name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{:?}", other.map(|pod| pod.is_some()))),
        }
    })
    .await?;
    took.context("a bare pod was not ready in time")?
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
