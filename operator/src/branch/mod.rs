//! Branch: observe, plan, act, report.

mod act;
mod find;
mod flush;
mod observe;
mod plan;
mod report;
pub(crate) mod source;

pub use find::find_branch;
pub(crate) use flush::flush;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use roost_crds::{Branch, names::BRANCH_MANAGER};

use crate::{
    kubernetes::status,
    reconcile::{Elected, Key, Reconcile, ReconcileError, Requeue, expiry},
    served::look_again,
};

/// Reconciles Branches.
pub struct BranchReconciler(pub Arc<Elected>);

#[async_trait]
impl Reconcile for BranchReconciler {
    const KIND: &'static str = "Branch";

    async fn reconcile(&self, key: &Key) -> Result<Requeue, ReconcileError> {
        let context = &self.0.context;
        let api: Api<Branch> = Api::namespaced(context.client.clone(), &key.namespace);
        let Some(branch) = api.get_opt(&key.name).await? else { return Ok(Requeue::OnChange) };
        let observed = observe::observe(&self.0, branch).await?;
        let now = context.now();
        let acted = act::act(&self.0, &api, &observed, plan::plan(&observed, now)).await?;
        if acted.changed_object {
            return Ok(Requeue::OnChange);
        }
        let wanted = report::report(&observed, &acted, &context.config.endpoint_host, &Time(now));
        status::apply(&api, &observed.branch, BRANCH_MANAGER, &wanted).await?;
        let look = look_again(&wanted.conditions, wanted.state);
        Ok(expiry::no_later_than(look, wanted.expiration_time.as_ref(), now))
    }
}
