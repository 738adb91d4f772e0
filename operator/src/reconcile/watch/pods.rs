//! Runtime pods: whom a pod is for is looked at again, and the slot of one that is gone is freed.

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use roost_protocol::BranchKey;

use super::fold::{Folds, Watch};
use crate::{
    pods::{PodView, Purpose},
    reconcile::{index::Records, queue::Key},
};

pub(super) struct PodFold<'a>(pub(super) &'a Watch);

impl Folds<Pod> for PodFold<'_> {
    type Id = String;
    fn kind(&self) -> &'static str {
        "Pod"
    }
    fn id(&self, pod: &Pod) -> String {
        pod.name_any()
    }
    fn applied(&self, pod: Pod) {
        let view = PodView::of(&pod);
        self.0.push_owner(&view);
        self.0.queues.pods.push(Key::named(&view.name));
        self.0.index.write(|records| records.pods.insert(view.name.clone(), view));
    }
    fn gone(&self, name: String, _: Option<Pod>) -> BoxFuture<'_, ()> {
        let before = self.0.index.write(|records| records.pods.remove(&name));
        Box::pin(async move {
            let Some(pod) = before else { return };
            self.0.push_owner(&pod);
            let Some(slot) = &pod.slot else { return };
            // The sweep frees it later if this fails.
            if let Err(error) = self.0.context.slots.free(slot, &pod.name).await {
                tracing::warn!(%error, slot = %slot, "slot not freed");
            }
        })
    }
    fn known(&self, records: &Records) -> Vec<String> {
        records.pods.keys().cloned().collect()
    }
}

impl Watch {
    fn push_owner(&self, pod: &PodView) {
        match &pod.purpose {
            // It is a person's, and says nothing about the branch.
            Purpose::CheckReplay(_) => {}
            Purpose::TakeSnapshot { of, snapshot } => {
                self.queues.snapshots.push(Key::new(&of.key.namespace, snapshot));
            }
            Purpose::Serve(of) => {
                if !of.key.is_main() {
                    self.push_branch(&of.key);
                }
                // A tenant that is being deleted waits for the pods of all its branches.
                self.queues.tenants.push(Key::new(&of.key.namespace, &of.key.tenant));
            }
        }
    }

    fn push_branch(&self, branch: &BranchKey) {
        let key = self.index.read(|records| {
            let mut all = records.branches.iter();
            all.find(|(key, record)| {
                key.namespace == branch.namespace
                    && record.tenant == branch.tenant
                    && record.branch == branch.branch
            })
            .map(|(key, _)| key.clone())
        });
        if let Some(key) = key {
            self.queues.branches.push(key);
        }
    }
}
