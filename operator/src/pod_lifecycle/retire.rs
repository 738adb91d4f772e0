//! The retirement of a pod: its last words are kept in status before it is removed.

use kube::{Api, ResourceExt as _, api::PatchParams, runtime::events::EventType};
use roost_crds::{Branch, Tenant, names::MANAGED_BY};
use serde_json::json;

use super::owner::branch_of;
use crate::{
    context::Context,
    kubernetes::status::merge,
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
        let params =
            PatchParams { field_manager: Some(format!("{MANAGED_BY}/pod")), ..PatchParams::default() };
        let client = context.client.clone();
        if key.is_main() {
            let tenants: Api<Tenant> = Api::namespaced(client, &key.namespace);
            merge(&tenants, &key.tenant, &params, &status).await?;
        } else if let Some(branch) = branch_of(context, key).await? {
            let branches: Api<Branch> = Api::namespaced(client, &key.namespace);
            merge(&branches, &branch.name_any(), &params, &status).await?;
        }
    }
    context.pods.delete(pod).await?;
    Ok(())
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
