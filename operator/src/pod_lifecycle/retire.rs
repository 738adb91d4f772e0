//! The retirement of a pod: its last words are kept in status before it is removed.

use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::events::EventType,
};
use roost_crds::{Branch, Tenant, names::MANAGED_BY};
use serde_json::json;

use super::owner::branch_of;
use crate::{
    context::Context,
    pods::{PodView, Serving, ending::farewell},
    reconcile::ReconcileError,
};

/// Keeps a finished pod's last words, says what is not routine, and asks for its removal. Any replica may do this.
pub async fn retire(context: &Context, pod: &PodView) -> Result<(), ReconcileError> {
    if let Some((reason, note)) = farewell(pod) {
        tell(context, pod, reason, &note).await?;
    }
    let key = &pod.purpose.branch().key;
    let words = Serving { pod: Some(pod.clone()), runtime: None }.facts();
    let mut status = serde_json::Map::new();
    if let Some(position) = words.position {
        status.insert("position".into(), json!(position));
    }
    if let Some(size) = words.database_size {
        status.insert("databaseSize".into(), json!(size));
    }
    if let Some(at) = words.last_active {
        status.insert("lastActiveTime".into(), json!(at));
    }
    if !status.is_empty() {
        let patch = Patch::Merge(json!({"status": status}));
        let client = context.client.clone();
        if key.is_main() {
            keep(&Api::<Tenant>::namespaced(client, &key.namespace), &key.tenant, &patch).await?;
        } else if let Some(branch) = branch_of(context, key).await? {
            keep(&Api::<Branch>::namespaced(client, &key.namespace), &branch.name_any(), &patch).await?;
        }
    }
    context.pods.delete(pod).await?;
    Ok(())
}

async fn keep<K>(api: &Api<K>, name: &str, patch: &Patch<serde_json::Value>) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let params = PatchParams { field_manager: Some(format!("{MANAGED_BY}/pod")), ..PatchParams::default() };
    match api.patch_status(name, &params, patch).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

/// Says something about the Tenant or Branch that a pod serves.
pub(super) async fn tell(
    context: &Context,
    pod: &PodView,
    reason: &str,
    note: &str,
) -> Result<(), ReconcileError> {
    let key = &pod.purpose.branch().key;
    if key.is_main() {
        let tenants: Api<Tenant> = Api::namespaced(context.client.clone(), &key.namespace);
        if let Some(tenant) = tenants.get_opt(&key.tenant).await? {
            context.event(&tenant, EventType::Warning, reason, "Serve", note).await;
        }
    } else if let Some(branch) = branch_of(context, key).await? {
        context.event(&branch, EventType::Warning, reason, "Serve", note).await;
    }
    Ok(())
}
