//! Tenant: observe, plan, act, report.

mod act;
mod observe;
mod plan;
mod report;

pub(crate) use observe::look;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use roost_crds::{Reason, ServingState, Tenant, names::TENANT_MANAGER};

use crate::{
    elected::Elected,
    status,
    work::{Key, Reconcile, ReconcileError, Requeue},
};

/// How often a tenant with a pod is looked at: its size, activity and lag are shown.
const SERVING_LOOK: Duration = Duration::from_mins(1);
/// How often something that moves is looked at, besides the watch.
const MOVING_LOOK: Duration = Duration::from_secs(2);
/// How often inputs that nobody watches (a ConfigMap, the right to read it) are looked for: somebody has just been told
/// the command that ends it.
const INPUTS_LOOK: Duration = Duration::from_secs(15);
/// How often a pod that cannot publish, and a tenant that found no place, are looked at: both end by themselves.
const PASSING_LOOK: Duration = Duration::from_secs(15);
/// How often what a person must fix is looked at again.
const STALLED_LOOK: Duration = Duration::from_mins(5);

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
        if observed.tenant.status.as_ref() != Some(&wanted) {
            status::apply(&api, &observed.tenant, TENANT_MANAGER, &wanted).await?;
        }
        Ok(requeue(&wanted))
    }
}

fn requeue(status: &roost_crds::TenantStatus) -> Requeue {
    look_again(&status.conditions, status.state)
}

/// When an object that serves is looked at again.
pub(crate) fn look_again(
    conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    state: Option<ServingState>,
) -> Requeue {
    use roost_crds::{
        ConditionType,
        conditions::{holds, reason_of},
    };
    let reason = reason_of(conditions, ConditionType::Ready).and_then(Reason::named);
    match (reason, state) {
        (Some(Reason::InputsNotFound | Reason::InputsNotPermitted), _) => Requeue::After(INPUTS_LOOK),
        (Some(Reason::PublishFailing | Reason::CeilingReached), _) => Requeue::After(PASSING_LOOK),
        (Some(Reason::Deleting), _) | (_, Some(ServingState::Waking | ServingState::Draining)) => {
            Requeue::After(MOVING_LOOK)
        }
        (_, Some(ServingState::Serving)) => Requeue::After(SERVING_LOOK),
        // The next query tries again; nothing here would.
        (Some(Reason::WakeFailed), _) => Requeue::OnChange,
        _ if holds(conditions, ConditionType::Stalled) => Requeue::After(STALLED_LOOK),
        _ if holds(conditions, ConditionType::Reconciling) => Requeue::Backoff,
        _ => Requeue::OnChange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;
    use roost_crds::conditions::{Serves, report};

    #[test]
    fn what_is_awaited_decides_when_it_is_looked_at_again() {
        let table = [
            (Reason::InputsNotPermitted, ServingState::Failed, Requeue::After(INPUTS_LOOK)),
            (Reason::InputsNotFound, ServingState::Idle, Requeue::After(INPUTS_LOOK)),
            (Reason::DataOwnedElsewhere, ServingState::Failed, Requeue::After(STALLED_LOOK)),
            (Reason::Deleting, ServingState::Idle, Requeue::After(MOVING_LOOK)),
            (Reason::Waking, ServingState::Waking, Requeue::After(MOVING_LOOK)),
            (Reason::Serving, ServingState::Serving, Requeue::After(SERVING_LOOK)),
            (Reason::PublishFailing, ServingState::Serving, Requeue::After(PASSING_LOOK)),
            (Reason::CeilingReached, ServingState::Idle, Requeue::After(PASSING_LOOK)),
            (Reason::WakeFailed, ServingState::Idle, Requeue::OnChange),
            (Reason::Idle, ServingState::Idle, Requeue::OnChange),
        ];
        for (reason, state, wanted) in table {
            let conditions = report(&[], Serves::Connections, reason, "why", 1, &Time(Timestamp::UNIX_EPOCH));
            assert_eq!(look_again(&conditions, Some(state)), wanted, "{reason}");
        }
    }
}
