//! Snapshot: observe, plan, act, report.

mod act;
mod observe;
mod plan;
mod report;
mod taken;
mod worker;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, runtime::events::EventType};
use roost_crds::{
    ConditionType, Reason, Snapshot, SnapshotState,
    conditions::{holds, reason_of},
    names::SNAPSHOT_MANAGER,
};

use crate::{
    kubernetes::status,
    reconcile::{Elected, Key, Reconcile, ReconcileError, Requeue, expiry},
};

/// Pause between looks at a snapshot under way, besides the watch.
const RUNNING_LOOK: Duration = Duration::from_secs(5);

/// Reconciles Snapshots.
pub struct SnapshotReconciler(pub Arc<Elected>);

#[async_trait]
impl Reconcile for SnapshotReconciler {
    const KIND: &'static str = "Snapshot";

    async fn reconcile(&self, key: &Key) -> Result<Requeue, ReconcileError> {
        let context = &self.0.context;
        let api: Api<Snapshot> = Api::namespaced(context.client.clone(), &key.namespace);
        let Some(snapshot) = api.get_opt(&key.name).await? else { return Ok(Requeue::OnChange) };
        let observed = observe::observe(&self.0, snapshot).await?;
        let now = context.now();
        let action = plan::plan(&observed, now);
        let acted = act::act(&self.0, &api, &observed, action).await?;
        if acted.changed_object {
            return Ok(Requeue::OnChange);
        }
        let wanted = report::report(&observed, &acted, &Time(now));
        if status::apply(&api, &observed.snapshot, SNAPSHOT_MANAGER, &wanted).await? {
            self.tell(&observed.snapshot, &wanted).await;
        }
        if let Some(pod) = &acted.worker_to_remove {
            // Only now: its last words are in the status.
            context.pods.delete(pod).await?;
        }
        Ok(expiry::no_later_than(look(&wanted), wanted.expiration_time.as_ref(), now))
    }
}

impl SnapshotReconciler {
    async fn tell(&self, snapshot: &Snapshot, status: &roost_crds::SnapshotStatus) {
        let failed = [Reason::SnapshotFailed.as_str(), Reason::SnapshotRetrying.as_str()];
        let Some(ready) = status.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str()) else {
            return;
        };
        let before = snapshot.status.as_ref().and_then(|s| reason_of(&s.conditions, ConditionType::Ready));
        if failed.contains(&ready.reason.as_str()) && before != Some(ready.reason.as_str()) {
            let context = &self.0.context;
            context.event(snapshot, EventType::Warning, &ready.reason, "Snapshot", &ready.message).await;
        }
    }
}

fn look(status: &roost_crds::SnapshotStatus) -> Requeue {
    match status.state {
        Some(SnapshotState::Running | SnapshotState::Deleting) => Requeue::After(RUNNING_LOOK),
        _ if holds(&status.conditions, ConditionType::Reconciling) => Requeue::Backoff,
        _ => Requeue::OnChange,
    }
}
