//! The Branch object of a branch.

use kube::{Api, api::ListParams};
use roost_crds::Branch;

use crate::context::Context;

/// The Branch object that has a branch's name: the one that made it, else any that wants it.
pub async fn find_branch(
    context: &Context,
    namespace: &str,
    tenant: &str,
    branch: &str,
) -> Result<Option<Branch>, kube::Error> {
    let api: Api<Branch> = Api::namespaced(context.client.clone(), namespace);
    let of_tenant = ListParams::default().fields(&format!("spec.tenantName={tenant}"));
    let mut named: Vec<_> =
        api.list(&of_tenant).await?.items.into_iter().filter(|found| found.branch_name() == branch).collect();
    named.sort_by_key(|found| found.status.as_ref().is_none_or(|status| status.position.is_none()));
    Ok(named.into_iter().next())
}
