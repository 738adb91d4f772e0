//! TenantClass: observe, plan, act, report.

mod act;
pub mod allowed;
mod plan;
pub mod resolve;
#[cfg(test)]
pub(crate) mod samples;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt as _};
use roost_crds::{
    ConditionType, Reason, TenantClass,
    conditions::{holds, reason_of},
    names::CLASS_MANAGER,
};

use crate::{
    kubernetes::{set_finalizer, status},
    reconcile::{Elected, Key, Reconcile, ReconcileError, Requeue},
};

/// Pause before a Secret that does not exist is looked for again, besides the watch.
const SECRET_LOOK: Duration = Duration::from_mins(1);

/// Reconciles TenantClasses.
pub struct ClassReconciler(pub Arc<Elected>);

#[async_trait]
impl Reconcile for ClassReconciler {
    const KIND: &'static str = "TenantClass";

    async fn reconcile(&self, key: &Key) -> Result<Requeue, ReconcileError> {
        let context = &self.0.context;
        let api: Api<TenantClass> = Api::all(context.client.clone());
        let Some(class) = api.get_opt(&key.name).await? else {
            act::remove_egress(context, &key.name).await?;
            return Ok(Requeue::OnChange);
        };
        let observed = act::observe(&self.0, class).await?;
        let now = context.now();
        let steps = plan::plan(&observed, now, context.config.probe_retry);
        if let Some(wanted) = steps.finalizer {
            set_finalizer(&api, &observed.class, roost_crds::names::CLASS_FINALIZER, wanted).await?;
            return Ok(Requeue::OnChange);
        }
        act::apply_egress(context, &observed.class).await?;
        let probed = if steps.probe { Some(act::probe(context, &observed).await) } else { None };
        let wanted = plan::report(&observed, probed.as_ref(), &Time(now));
        if status::apply(&api, &observed.class, CLASS_MANAGER, &wanted).await? {
            tracing::info!(class = %observed.class.name_any(), "class status changed");
        }
        Ok(requeue(&wanted, context.config.probe_retry))
    }
}

fn requeue(status: &roost_crds::TenantClassStatus, retry: Duration) -> Requeue {
    let reason = reason_of(&status.conditions, ConditionType::Ready);
    if holds(&status.conditions, ConditionType::Ready) {
        Requeue::OnChange
    } else if reason == Some(Reason::CredentialsNotFound.as_str()) {
        Requeue::After(SECRET_LOOK)
    } else {
        Requeue::After(plan::probe_pause(reason, retry))
    }
}
