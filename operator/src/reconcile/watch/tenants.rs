//! Tenants.

use futures::future::BoxFuture;
use kube::ResourceExt as _;
use roost_crds::{DeletionPolicy, OperatingMode, Tenant};

use super::{
    fold::{Folds, Watch, key, ready},
    garbage::due,
};
use crate::{
    context::Context,
    pods::PodView,
    reconcile::{
        index::{Records, TenantRecord},
        queue::Key,
    },
};

pub(super) struct TenantFold<'a>(pub(super) &'a Watch);

impl Folds<Tenant> for TenantFold<'_> {
    type Id = Key;
    fn kind(&self) -> &'static str {
        "Tenant"
    }
    fn id(&self, tenant: &Tenant) -> Key {
        key(tenant)
    }
    fn applied(&self, tenant: Tenant) {
        let key = key(&tenant);
        let status = tenant.status.as_ref();
        let made = status.is_some_and(|status| status.position.is_some());
        let source = tenant.spec.source.as_ref().and_then(|source| source.snapshot.as_ref());
        let record = TenantRecord {
            uid: tenant.uid().unwrap_or_default(),
            class: status.and_then(|s| s.class_name.clone()).or_else(|| tenant.spec.class_name.clone()),
            published: status.and_then(|s| s.position.as_ref()).is_some_and(|position| position.manifest > 0),
            awaits_snapshot: source.filter(|_| !made).map(|source| source.name.clone()),
            ready: ready(status.map(|status| &status.conditions)),
            at: status.and_then(|status| status.position.as_ref()).map(|at| (at.epoch, at.manifest)),
            recoverable: status.is_some_and(|status| status.recoverable_from.is_some()),
        };
        let suspended = tenant.spec.operating_mode() == OperatingMode::Suspended;
        let before = self.0.index.write(|records| records.tenants.insert(key.clone(), record.clone()));
        if before.as_ref() != Some(&record) || suspended {
            self.0.push_children(&key);
        }
        let interval = self.0.context.config.garbage_interval;
        if let Some(pause) = due(&key, before.as_ref(), &record, interval) {
            self.0.queues.garbage.push_after(key.clone(), pause);
        }
        let classes = [before.and_then(|before| before.class), record.class];
        if classes[0] != classes[1] {
            classes.into_iter().flatten().for_each(|class| self.0.queues.classes.push(Key::named(class)));
        }
        self.0.queues.tenants.push(key);
    }
    fn gone(&self, key: Key, tenant: Option<Tenant>) -> BoxFuture<'_, ()> {
        let before = self.0.index.write(|records| records.tenants.remove(&key));
        if let Some(class) = before.and_then(|before| before.class) {
            self.0.queues.classes.push(Key::named(class));
        }
        self.0.push_children(&key);
        let pods: Vec<_> = self.0.index.read(|records| {
            let of_tenant = |pod: &&PodView| {
                let of = &pod.purpose.branch().key;
                of.namespace == key.namespace && of.tenant == key.name
            };
            records.pods.values().filter(of_tenant).map(|pod| pod.name.clone()).collect()
        });
        for pod in pods {
            self.0.queues.pods.push(Key::named(pod));
        }
        Box::pin(async move {
            if let Some(tenant) = tenant {
                tell_retained(&self.0.context, &tenant).await;
            }
        })
    }
    fn known(&self, records: &Records) -> Vec<Key> {
        records.tenants.keys().cloned().collect()
    }
}

/// Says where the data of a deleted Tenant is.
async fn tell_retained(context: &Context, tenant: &Tenant) {
    let location = tenant.status.as_ref().and_then(|status| status.location.as_ref());
    let Some(location) = location.filter(|_| tenant.spec.deletion_policy() == DeletionPolicy::Retain) else {
        return;
    };
    let note = format!(
        "the data stays in bucket {} at {}; a Tenant of the same name in this namespace finds it again",
        location.bucket, location.path
    );
    let kind = kube::runtime::events::EventType::Normal;
    context.event(tenant, kind, "DataRetained", "Delete", &note).await;
}

impl Watch {
    fn push_children(&self, tenant: &Key) {
        let (branches, snapshots) = self.index.read(|records| records.children(tenant));
        for key in branches {
            self.queues.branches.push(key);
        }
        for key in snapshots {
            self.queues.snapshots.push(key);
        }
    }
}
