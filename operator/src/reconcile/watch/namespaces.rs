//! Namespaces, of which only a hash of the labels is kept: there may be as many as tenants.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::{ResourceExt as _, api::PartialObjectMeta};
use roost_crds::TenantClass;

use super::fold::{Folds, Watch};
use crate::reconcile::{index::Records, queue::Key};

/// A namespace's labels say which classes are for it.
pub(super) struct NamespaceFold<'a>(pub(super) &'a Watch);

impl Folds<PartialObjectMeta<Namespace>> for NamespaceFold<'_> {
    type Id = String;
    fn kind(&self) -> &'static str {
        "Namespace"
    }
    fn id(&self, namespace: &PartialObjectMeta<Namespace>) -> String {
        namespace.name_any()
    }
    fn applied(&self, namespace: PartialObjectMeta<Namespace>) {
        let name = namespace.name_any();
        let labels = hash(namespace.labels());
        let before = self.0.index.write(|records| records.namespaces.insert(name.clone(), labels));
        // One that is seen for the first time: whoever is in it is looked at anyway.
        if before.is_some_and(|before| before != labels) {
            self.0.push_restricted(&name);
        }
    }
    fn gone(&self, name: String, _: Option<PartialObjectMeta<Namespace>>) -> BoxFuture<'_, ()> {
        self.0.index.write(|records| records.namespaces.remove(&name));
        Box::pin(std::future::ready(()))
    }
    fn known(&self, records: &Records) -> Vec<String> {
        records.namespaces.keys().cloned().collect()
    }
}

fn hash(labels: &BTreeMap<String, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    hasher.finish()
}

impl Watch {
    /// Looks at whoever may have, or wait for, a class that is not for every namespace.
    fn push_restricted(&self, namespace: &str) {
        self.index.read(|records| {
            let restricted = |class: &TenantClass| class.spec.allowed_namespaces.is_some();
            if !records.classes.values().any(|class| restricted(class)) {
                return;
            }
            let here = |key: &&Key| key.namespace == namespace;
            records.tenants.keys().filter(here).for_each(|key| self.queues.tenants.push(key.clone()));
            records.branches.keys().filter(here).for_each(|key| self.queues.branches.push(key.clone()));
        });
    }
}
