//! The objects that a key names.

use kube::Api;
use roost_crds::{Branch, Tenant};
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
};

use crate::{branch::find_branch, context::Context, wake::cluster::api_failed};

/// The Tenant that a key names, unless it is being deleted.
/// Errors: `not-found`, `busy`.
pub async fn tenant(context: &Context, key: &BranchKey) -> Result<Tenant, Problem> {
    let api: Api<Tenant> = Api::namespaced(context.client.clone(), &key.namespace);
    let found = api.get_opt(&key.tenant).await.map_err(api_failed)?;
    let found = found.filter(|tenant| tenant.metadata.deletion_timestamp.is_none());
    found.ok_or_else(|| {
        Problem::new(ErrorCode::NotFound, format!("there is no Tenant {} in {}", key.tenant, key.namespace))
    })
}

/// The Branch object of the branch that a key names; none for `main`.
/// Errors: `not-found`, `busy`.
pub async fn branch(context: &Context, key: &BranchKey) -> Result<Option<Branch>, Problem> {
    if key.is_main() {
        return Ok(None);
    }
    let found = find_branch(context, &key.namespace, &key.tenant, &key.branch).await.map_err(api_failed)?;
    let found = found.filter(|branch| branch.metadata.deletion_timestamp.is_none());
    found.map(Some).ok_or_else(|| {
        Problem::new(ErrorCode::NotFound, format!("Tenant {} has no Branch {}", key.tenant, key.branch))
    })
}
