//! Snapshots.

use futures::future::BoxFuture;
use roost_crds::{Snapshot, SnapshotSummary};

use super::fold::{Folds, Watch, key};
use crate::reconcile::{
    index::{Records, SnapshotRecord},
    queue::Key,
};

pub(super) struct SnapshotFold<'a>(pub(super) &'a Watch);

impl Folds<Snapshot> for SnapshotFold<'_> {
    type Id = Key;
    fn kind(&self) -> &'static str {
        "Snapshot"
    }
    fn id(&self, snapshot: &Snapshot) -> Key {
        key(snapshot)
    }
    fn applied(&self, snapshot: Snapshot) {
        let key = key(&snapshot);
        let completed = snapshot.status.as_ref().and_then(|status| status.completion_time.clone());
        let record = SnapshotRecord {
            tenant: snapshot.spec.tenant_name.clone(),
            summary: completed.map(|completion_time| SnapshotSummary {
                name: key.name.clone(),
                branch: snapshot.spec.branch_name().to_owned(),
                format: snapshot.spec.format(),
                completion_time,
            }),
        };
        let before = self.0.index.write(|records| records.snapshots.insert(key.clone(), record.clone()));
        if before.as_ref() != Some(&record) {
            self.push_dependents(&key, &record.tenant);
        }
        self.0.queues.snapshots.push(key);
    }
    fn gone(&self, key: Key, _: Option<Snapshot>) -> BoxFuture<'_, ()> {
        if let Some(record) = self.0.index.write(|records| records.snapshots.remove(&key)) {
            self.push_dependents(&key, &record.tenant);
            self.0.may_have_garbage(&key, &record.tenant);
        }
        Box::pin(std::future::ready(()))
    }
    fn known(&self, records: &Records) -> Vec<Key> {
        records.snapshots.keys().cloned().collect()
    }
}

impl SnapshotFold<'_> {
    /// Its tenant lists it; tenants and branches may start from it.
    fn push_dependents(&self, key: &Key, tenant: &str) {
        self.0.queues.tenants.push(Key::new(&key.namespace, tenant));
        self.0.index.read(|records| {
            let here = |other: &Key| other.namespace == key.namespace;
            for (other, record) in &records.tenants {
                if here(other) && record.awaits_snapshot.as_ref() == Some(&key.name) {
                    self.0.queues.tenants.push(other.clone());
                }
            }
            for (other, record) in &records.branches {
                if here(other) && record.from_snapshot.as_ref() == Some(&key.name) && !record.ready {
                    self.0.queues.branches.push(other.clone());
                }
            }
        });
    }
}
