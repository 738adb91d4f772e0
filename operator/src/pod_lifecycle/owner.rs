//! The object that a pod works for.

use kube::{Api, ResourceExt as _};
use roost_crds::{Branch, Snapshot, Tenant};
use roost_protocol::BranchKey;

use super::plan::Owner;
use crate::{
    branch::find_branch,
    context::Context,
    pods::{PodView, Purpose, TenantBranch, names},
    reconcile::ReconcileError,
};

/// Whether the object that a pod works for exists: by UID, so that a recreated one does not count.
pub(super) async fn owner(context: &Context, pod: &PodView) -> Result<Owner, ReconcileError> {
    let TenantBranch { key, tenant_uid } = pod.purpose.branch();
    let tenants: Api<Tenant> = Api::namespaced(context.client.clone(), &key.namespace);
    let tenant = tenants.get_metadata_opt(&key.tenant).await?;
    if tenant.and_then(|tenant| tenant.uid()).as_ref() != Some(tenant_uid) {
        return Ok(Owner::Gone);
    }
    if let Purpose::TakeSnapshot { snapshot, .. } = &pod.purpose {
        let snapshots: Api<Snapshot> = Api::namespaced(context.client.clone(), &key.namespace);
        let uid = snapshots.get_metadata_opt(snapshot).await?.and_then(|snapshot| snapshot.uid());
        let ours = uid.is_some_and(|uid| names::worker_pod(&uid) == pod.name);
        return Ok(if ours { Owner::Exists } else { Owner::Gone });
    }
    if !key.is_main() && branch_of(context, key).await?.is_none() {
        return Ok(Owner::Gone);
    }
    Ok(Owner::Exists)
}

/// The Branch object whose data a pod serves. Another one that only wants its branchName has no part in it.
pub(super) async fn branch_of(context: &Context, key: &BranchKey) -> Result<Option<Branch>, kube::Error> {
    let found = find_branch(context, &key.namespace, &key.tenant, &key.branch).await?;
    Ok(found.filter(|branch| branch.status.as_ref().is_some_and(|status| status.position.is_some())))
}
