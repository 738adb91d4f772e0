//! Secrets of classes, of which nothing is kept.

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt as _,
    api::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};

use super::fold::{PAGE, Watch};
use crate::reconcile::queue::Key;

/// A changed Secret concerns the classes that name it.
pub(super) async fn secrets(api: Api<PartialObjectMeta<Secret>>, watch: &Watch) {
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
