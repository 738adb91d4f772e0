//! The part that every watch has: where its events go, and how a kind folds them.

use std::{collections::HashSet, fmt::Debug, hash::Hash, sync::Arc};

use futures::{StreamExt as _, future::BoxFuture, pin_mut};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use roost_crds::{ConditionType, conditions};
use serde::de::DeserializeOwned;

use crate::{
    context::Context,
    reconcile::{
        index::{Index, Records},
        queue::{Key, Queues},
    },
};

/// Objects per page of a list.
pub(super) const PAGE: u32 = 500;

/// Everything a watch needs.
pub(super) struct Watch {
    pub(super) context: Arc<Context>,
    pub(super) index: Arc<Index>,
    pub(super) queues: Queues,
}

/// The effects of one kind's events.
pub(super) trait Folds<K>: Send + Sync {
    /// Names the record.
    type Id: Eq + Hash + Clone + Debug + Send;
    fn id(&self, object: &K) -> Self::Id;
    fn applied(&self, object: K);
    /// `object` is none when a list showed that it went while nobody watched.
    fn gone(&self, id: Self::Id, object: Option<K>) -> BoxFuture<'_, ()>;
    fn known(&self, records: &Records) -> Vec<Self::Id>;
    fn kind(&self) -> &'static str;
}

impl Watch {
    /// A Branch or Snapshot of a tenant changed or went.
    pub(super) fn may_have_garbage(&self, child: &Key, tenant: &str) {
        let tenant = Key::new(&child.namespace, tenant);
        self.queues.garbage.push_after(tenant, self.context.config.garbage_interval);
    }
}

/// Watches a kind for ever.
pub(super) async fn fold<K, F>(api: Api<K>, index: &Index, fold: F)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    F: Folds<K>,
{
    let events = watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff();
    pin_mut!(events);
    let mut seen: HashSet<F::Id> = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => seen.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                seen.insert(fold.id(&object));
                fold.applied(object);
            }
            Ok(watcher::Event::InitDone) => {
                for id in index.read(|records| fold.known(records)) {
                    if !seen.contains(&id) {
                        fold.gone(id, None).await;
                    }
                }
                seen = HashSet::new();
                index.write(|records| records.synced.insert(fold.kind()));
            }
            Ok(watcher::Event::Apply(object)) => fold.applied(object),
            Ok(watcher::Event::Delete(object)) => fold.gone(fold.id(&object), Some(object)).await,
            Err(error) => tracing::warn!(kind = fold.kind(), %error, "watch failed; it is started again"),
        }
    }
}

/// The key of an object.
pub(super) fn key<K: Resource>(object: &K) -> Key {
    Key::new(object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether conditions say so.
pub(super) fn ready(all: Option<&Vec<Condition>>) -> bool {
    all.is_some_and(|all| conditions::holds(all, ConditionType::Ready))
}
