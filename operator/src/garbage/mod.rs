//! Garbage collection of the tenants' prefixes: when something changed that may leave garbage, and when what is kept of
//! the past runs out.

pub mod command;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PatchParams},
    runtime::events::EventType,
};
use roost_crds::{Branch, Tenant, TenantClass, names::MAIN_BRANCH};
use roost_store::{
    TenantError,
    garbage::{CollectError, Collected, MERGE_ABOVE, Policy},
};
use serde_json::json;

use crate::{
    kubernetes::status::merge,
    reconcile::{Elected, Key, Reconcile, ReconcileError, Requeue},
};

/// Wait between condemning and deleting: longer than a request for an object whose name was read just before.
const GRACE: Duration = Duration::from_secs(10);
/// Soonest that a tenant is looked at again because its past runs out.
const EXPIRY_AT_LEAST: Duration = Duration::from_mins(1);

/// Collects a tenant's garbage.
pub struct GarbageReconciler(pub Arc<Elected>);

#[async_trait]
impl Reconcile for GarbageReconciler {
    const KIND: &'static str = "Garbage";

    async fn reconcile(&self, key: &Key) -> Result<Requeue, ReconcileError> {
        let context = &self.0.context;
        let api: Api<Tenant> = Api::namespaced(context.client.clone(), &key.namespace);
        let Some(tenant) = api.get_opt(&key.name).await? else { return Ok(Requeue::OnChange) };
        let going = tenant.metadata.deletion_timestamp.is_some();
        let Some(location) = tenant.status.as_ref().and_then(|status| status.location.as_ref()) else {
            return Ok(Requeue::OnChange);
        };
        let class = self.0.index.read(|records| records.classes.get(&location.class_name).cloned());
        let Some(class) = class.filter(|_| !going) else { return Ok(Requeue::OnChange) };
        let policy = policy(&class, context.config.garbage_deletes_per_second, false);
        let store = context.buckets.tenant(location).await?;
        let collected = match store.collect(&policy, &self.0.known_manifests, &|_| {}).await {
            Ok(collected) => collected,
            Err(CollectError::Tenant(
                TenantError::BeingDeleted { .. }
                | TenantError::DataMissing { .. }
                | TenantError::OwnedElsewhere { .. },
            )) => return Ok(Requeue::OnChange),
            Err(error) => {
                context.metrics.garbage.failed();
                if matches!(error, CollectError::Damaged { .. }) {
                    let note = format!("{error}; `roost-operator fsck` tells all");
                    context.event(&tenant, EventType::Warning, "DataDamaged", "Collect", &note).await;
                }
                tracing::warn!(tenant = %key, %error, "garbage was not collected");
                return Ok(Requeue::After(context.config.garbage_interval));
            }
        };
        context.metrics.garbage.collected(&collected);
        if collected.deleted.count > 0 {
            let (objects, bytes) = (collected.deleted.count, collected.deleted.bytes);
            tracing::info!(tenant = %key, objects, bytes, "garbage collected");
        }
        self.show(&api, key, &collected).await?;
        Ok(again(&collected, context.now(), context.config.garbage_interval))
    }
}

impl GarbageReconciler {
    /// Writes since when each branch can be recovered.
    async fn show(&self, api: &Api<Tenant>, key: &Key, collected: &Collected) -> Result<(), ReconcileError> {
        let since = |branch: &str| collected.recoverable_from.get(branch).copied();
        show(api, &key.name, since(MAIN_BRANCH)).await?;
        let branches: Api<Branch> = Api::namespaced(self.0.context.client.clone(), &key.namespace);
        let of_tenant = ListParams::default().fields(&format!("spec.tenantName={}", key.name));
        for branch in branches.list(&of_tenant).await? {
            show(&branches, &branch.name_any(), since(&branch.branch_name())).await?;
        }
        Ok(())
    }
}

async fn show<K>(api: &Api<K>, name: &str, since: Option<Timestamp>) -> Result<(), kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let Some(since) = since else { return Ok(()) };
    // To the second, upwards: what is promised must be there.
    let second = since.as_second() + i64::from(since.subsec_nanosecond() > 0);
    let shown = Timestamp::from_second(second).unwrap_or(since).to_string();
    let fields = serde_json::Map::from_iter([("recoverableFrom".to_owned(), json!(shown))]);
    merge(api, name, &PatchParams::default(), &fields).await
}

/// The policy of a run, by the class.
fn policy(class: &TenantClass, deletes_per_second: NonZeroU32, dry_run: bool) -> Policy {
    let recovery_window = recovery_window(class);
    Policy { recovery_window, grace: GRACE, deletes_per_second, merge_above: MERGE_ABOVE, dry_run }
}

/// Time for which a class keeps the past of branches.
pub fn recovery_window(class: &TenantClass) -> SignedDuration {
    SignedDuration::try_from(class.spec.recovery_window()).unwrap_or(SignedDuration::MAX)
}

/// When to look again at a tenant that nothing happens to.
fn again(collected: &Collected, now: Timestamp, interval: Duration) -> Requeue {
    if collected.more {
        return Requeue::After(Duration::ZERO);
    }
    collected.next_expiry.map_or(Requeue::OnChange, |at| {
        let until = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        // Of a busy tenant something runs out all the time.
        Requeue::After(until.max(interval).max(EXPIRY_AT_LEAST))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_store::reachability::Tally;

    #[test]
    fn it_is_looked_at_again_when_its_past_runs_out() {
        let now = Timestamp::from_second(1_000).unwrap();
        let collected = |seconds: Option<i64>, more| Collected {
            location: String::new(),
            kept: Tally::default(),
            deleted: Tally::default(),
            keys: Vec::new(),
            recoverable_from: std::collections::BTreeMap::new(),
            merged: 0,
            next_expiry: seconds.map(|second| Timestamp::from_second(second).unwrap()),
            dry_run: false,
            more,
        };
        for (seconds, more, interval, expected) in [
            (None, false, 3_600, Requeue::OnChange),
            (Some(8_200), false, 3_600, Requeue::After(Duration::from_hours(2))),
            (Some(900), false, 3_600, Requeue::After(Duration::from_hours(1))),
            (Some(900), false, 2, Requeue::After(Duration::from_mins(1))),
            (Some(9_000), true, 3_600, Requeue::After(Duration::ZERO)),
        ] {
            let found = again(&collected(seconds, more), now, Duration::from_secs(interval));
            assert_eq!(found, expected, "{seconds:?} {more} {interval}");
        }
    }
}
