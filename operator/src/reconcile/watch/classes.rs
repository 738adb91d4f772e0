//! TenantClasses: whoever has one, or would have it, is looked at again.

use std::sync::Arc;

use futures::future::BoxFuture;
use kube::ResourceExt as _;
use roost_crds::TenantClass;

use super::fold::{Folds, Watch, ready};
use crate::reconcile::{index::Records, queue::Key};

pub(super) struct ClassFold<'a>(pub(super) &'a Watch);

impl Folds<TenantClass> for ClassFold<'_> {
    type Id = String;
    fn kind(&self) -> &'static str {
        "TenantClass"
    }
    fn id(&self, class: &TenantClass) -> String {
        class.name_any()
    }
    fn applied(&self, class: TenantClass) {
        let name = class.name_any();
        let (is_default, now_ready) =
            (class.is_default(), ready(class.status.as_ref().map(|s| &s.conditions)));
        let generation = class.metadata.generation;
        let before = self.0.index.write(|records| records.classes.insert(name.clone(), Arc::new(class)));
        self.0.queues.classes.push(Key::named(&name));
        let same = before.as_ref().is_some_and(|before| {
            before.metadata.generation == generation
                && before.is_default() == is_default
                && ready(before.status.as_ref().map(|status| &status.conditions)) == now_ready
        });
        if !same {
            self.0.push_users(&name, is_default || before.is_some_and(|before| before.is_default()));
        }
    }
    fn gone(&self, name: String, _: Option<TenantClass>) -> BoxFuture<'_, ()> {
        let before = self.0.index.write(|records| records.classes.remove(&name));
        self.0.push_users(&name, before.is_some_and(|before| before.is_default()));
        Box::pin(std::future::ready(()))
    }
    fn known(&self, records: &Records) -> Vec<String> {
        records.classes.keys().cloned().collect()
    }
}

impl Watch {
    fn push_users(&self, class: &str, is_default: bool) {
        self.index.read(|records| {
            let concerned = |used: &Option<String>| match used {
                Some(used) => used == class,
                None => is_default,
            };
            for (key, _) in records.tenants.iter().filter(|(_, record)| concerned(&record.class)) {
                self.queues.tenants.push(key.clone());
            }
            for (key, _) in records.branches.iter().filter(|(_, record)| concerned(&record.class)) {
                self.queues.branches.push(key.clone());
            }
        });
    }
}
