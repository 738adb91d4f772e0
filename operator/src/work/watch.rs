//! The watches: each event is folded into a record, dropped, and turned into keys to look at.

mod namespaces;

use std::{collections::HashSet, fmt::Debug, hash::Hash, sync::Arc};

use futures::{StreamExt as _, future::BoxFuture, pin_mut};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::{
    Api, Resource, ResourceExt as _,
    api::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use roost_crds::{
    Branch, ConditionType, DeletionPolicy, OperatingMode, Snapshot, SnapshotSummary, Tenant, TenantClass,
    conditions,
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use namespaces::NamespaceFold;

use super::{
    index::{BranchRecord, Index, Records, SnapshotRecord, TenantRecord},
    queue::{Key, Queue},
};
use crate::{context::Context, garbage, pods::PodView};

/// Objects per page of a list.
const PAGE: u32 = 500;

/// One queue for each kind.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    /// Tenants.
    pub tenants: Arc<Queue>,
    /// Branches.
    pub branches: Arc<Queue>,
    /// Snapshots.
    pub snapshots: Arc<Queue>,
    /// TenantClasses.
    pub classes: Arc<Queue>,
    /// Runtime pods.
    pub pods: Arc<Queue>,
    /// Tenants that may have garbage.
    pub garbage: Arc<Queue>,
}

/// Everything a watch needs.
struct Watch {
    context: Arc<Context>,
    index: Arc<Index>,
    queues: Queues,
}

/// What one kind's events do.
trait Folds<K>: Send + Sync {
    /// Names the record.
    type Id: Eq + Hash + Clone + Debug + Send;
    fn id(&self, object: &K) -> Self::Id;
    fn applied(&self, object: K);
    /// `object` is none when a list showed that it went while nobody watched.
    fn gone(&self, id: Self::Id, object: Option<K>) -> BoxFuture<'_, ()>;
    fn known(&self, records: &Records) -> Vec<Self::Id>;
    fn kind(&self) -> &'static str;
}

/// Watches every kind until `stop`.
pub async fn watch_all(context: Arc<Context>, index: Arc<Index>, queues: Queues, stop: CancellationToken) {
    let client = context.client.clone();
    let own = context.config.namespace.clone();
    let pods = context.pods.api().clone();
    let watch = Watch { context, index, queues };
    let watches = async {
        tokio::join!(
            fold(Api::<TenantClass>::all(client.clone()), &watch.index, ClassFold(&watch)),
            fold(Api::<Tenant>::all(client.clone()), &watch.index, TenantFold(&watch)),
            fold(Api::<Branch>::all(client.clone()), &watch.index, BranchFold(&watch)),
            fold(Api::<Snapshot>::all(client.clone()), &watch.index, SnapshotFold(&watch)),
            fold(pods, &watch.index, PodFold(&watch)),
            fold(
                Api::<PartialObjectMeta<Namespace>>::all(client.clone()),
                &watch.index,
                NamespaceFold(&watch)
            ),
            secrets(Api::namespaced(client.clone(), &own), &watch),
        );
    };
    tokio::select! {
        () = watches => {}
        () = stop.cancelled() => {}
    }
}

async fn fold<K, F>(api: Api<K>, index: &Index, fold: F)
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

fn key<K: Resource>(object: &K) -> Key {
    Key::new(object.namespace().unwrap_or_default(), object.name_any())
}

fn ready(all: Option<&Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>>) -> bool {
    all.is_some_and(|all| conditions::holds(all, ConditionType::Ready))
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

    /// A Branch or Snapshot of a tenant changed or went.
    fn may_have_garbage(&self, child: &Key, tenant: &str) {
        let tenant = Key::new(&child.namespace, tenant);
        self.queues.garbage.push_after(tenant, self.context.config.garbage_interval);
    }

    fn push_owner(&self, pod: &PodView) {
        let tenant = Key::new(&pod.namespace, &pod.tenant);
        // It is a person's, and says nothing about the branch.
        if pod.replay_check {
            return;
        }
        if let Some(snapshot) = &pod.snapshot {
            self.queues.snapshots.push(Key::new(&pod.namespace, snapshot));
        } else if pod.branch == roost_crds::names::MAIN_BRANCH {
            self.queues.tenants.push(tenant);
        } else {
            let branch = self.index.read(|records| {
                let mut all = records.branches.iter();
                all.find(|(key, record)| {
                    key.namespace == pod.namespace
                        && record.tenant == pod.tenant
                        && record.branch == pod.branch
                })
                .map(|(key, _)| key.clone())
            });
            if let Some(key) = branch {
                self.queues.branches.push(key);
            }
            // A tenant that is being deleted waits for the pods of all its branches.
            self.queues.tenants.push(tenant);
        }
    }
}

struct ClassFold<'a>(&'a Watch);

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

struct TenantFold<'a>(&'a Watch);

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
        if let Some(pause) = garbage::due(&key, before.as_ref(), &record, interval) {
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
            let of_tenant = |pod: &&PodView| pod.namespace == key.namespace && pod.tenant == key.name;
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

struct BranchFold<'a>(&'a Watch);

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
                    pod.namespace == key.namespace
                        && pod.tenant == record.tenant
                        && pod.branch == record.branch
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

struct SnapshotFold<'a>(&'a Watch);

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

struct PodFold<'a>(&'a Watch);

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

/// A changed Secret concerns the classes that name it.
async fn secrets(api: Api<PartialObjectMeta<Secret>>, watch: &Watch) {
    let events = watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let secret: PartialObjectMeta<Secret> = match event {
            Ok(watcher::Event::Apply(secret) | watcher::Event::Delete(secret)) => secret,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, "watch of Secrets failed; it is started again");
                continue;
            }
        };
        let name = secret.name_any();
        watch.index.read(|records| {
            for (class, spec) in records.classes.iter().map(|(class, object)| (class, &object.spec)) {
                let storage = &spec.storage;
                let keys = spec.encryption.as_ref().map(|encryption| encryption.secret_ref.name.as_str());
                if [storage.credentials_secret(), storage.ca_secret(), keys].contains(&Some(&*name)) {
                    watch.queues.classes.push(Key::named(class));
                }
            }
        });
    }
}
