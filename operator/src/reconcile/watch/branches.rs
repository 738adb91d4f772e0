//! Branches.

use futures::future::BoxFuture;
use roost_crds::Branch;

use super::fold::{Folds, Watch, key, ready};
use crate::{
    pods::PodView,
    reconcile::{
        index::{BranchRecord, Records},
        queue::Key,
    },
};

pub(super) struct BranchFold<'a>(pub(super) &'a Watch);

impl Folds<Branch> for BranchFold<'_> {
    type Id = Key;
    fn kind(&self) -> &'static str {
        "Branch"
    }
    fn id(&self, branch: &Branch) -> Key {
        key(branch)
    }
    fn applied(&self, branch: Branch) {
        let key = key(&branch);
        let status = branch.status.as_ref();
        let record = BranchRecord {
            tenant: branch.spec.tenant_name.clone(),
            branch: branch.branch_name(),
            from_snapshot: branch.spec.from.as_ref().and_then(|from| from.snapshot_name.clone()),
            class: status.and_then(|s| s.class_name.clone()).or_else(|| branch.spec.class_name.clone()),
            ready: ready(status.map(|status| &status.conditions)),
            at: status.and_then(|status| status.position.as_ref()).map(|at| (at.epoch, at.manifest)),
        };
        let before = self.0.index.write(|records| records.branches.insert(key.clone(), record.clone()));
        if before.as_ref() != Some(&record) {
            self.push_dependents(&key, &record);
        }
        if before.is_some_and(|before| before.at != record.at) {
            self.0.may_have_garbage(&key, &record.tenant);
        }
        self.0.queues.branches.push(key);
    }
    fn gone(&self, key: Key, _: Option<Branch>) -> BoxFuture<'_, ()> {
        if let Some(record) = self.0.index.write(|records| records.branches.remove(&key)) {
            self.push_dependents(&key, &record);
            self.0.may_have_garbage(&key, &record.tenant);
            let pods: Vec<_> = self.0.index.read(|records| {
                let of_branch = |pod: &&PodView| {
                    let of = &pod.purpose.branch().key;
                    of.namespace == key.namespace && of.tenant == record.tenant && of.branch == record.branch
                };
                records.pods.values().filter(of_branch).map(|pod| pod.name.clone()).collect()
            });
            for pod in pods {
                self.0.queues.pods.push(Key::named(pod));
            }
        }
        Box::pin(std::future::ready(()))
    }
    fn known(&self, records: &Records) -> Vec<Key> {
        records.branches.keys().cloned().collect()
    }
}

impl BranchFold<'_> {
    /// Its class, and its siblings: they may start from it, or have waited for its name.
    fn push_dependents(&self, key: &Key, record: &BranchRecord) {
        if let Some(class) = &record.class {
            self.0.queues.classes.push(Key::named(class));
        }
        let (branches, snapshots) =
            self.0.index.read(|records| records.children(&Key::new(&key.namespace, &record.tenant)));
        branches
            .into_iter()
            .filter(|other| other != key)
            .for_each(|other| self.0.queues.branches.push(other));
        for other in snapshots {
            self.0.queues.snapshots.push(other);
        }
    }
}
