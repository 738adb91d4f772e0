//! Tenant: observe, plan, act, report.

mod act;
pub mod inputs;
mod observe;
mod plan;
mod report;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use roost_crds::{Tenant, names::TENANT_MANAGER};

use crate::{
    kubernetes::status,
    reconcile::{Elected, Key, Reconcile, ReconcileError, Requeue},
    served::look_again,
};

/// Reconciles Tenants.
pub struct TenantReconciler(pub Arc<Elected>);

#[async_trait]
impl Reconcile for TenantReconciler {
    const KIND: &'static str = "Tenant";

    async fn reconcile(&self, key: &Key) -> Result<Requeue, ReconcileError> {
        let context = &self.0.context;
        let api: Api<Tenant> = Api::namespaced(context.client.clone(), &key.namespace);
        // One that is gone: the watch has told its pods and children.
        let Some(tenant) = api.get_opt(&key.name).await? else { return Ok(Requeue::OnChange) };
        let observed = observe::observe(&self.0, tenant).await?;
        let actions = plan::plan(&observed);
        let acted = act::act(&self.0, &api, &observed, actions).await?;
        if acted.changed_object {
            // Finalizers changed: the watch brings the new version.
            return Ok(Requeue::OnChange);
        }
        let wanted = report::report(&observed, &acted, &context.config.endpoint_host, &Time(context.now()));
        status::apply(&api, &observed.tenant, TENANT_MANAGER, &wanted).await?;
        Ok(look_again(&wanted.conditions, wanted.state))
    }
}
