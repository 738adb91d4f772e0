//! The watches: each event is folded into a record, dropped, and turned into keys to look at.

mod branches;
mod classes;
mod fold;
mod garbage;
mod namespaces;
mod pods;
mod secrets;
mod snapshots;
mod tenants;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::PartialObjectMeta};
use roost_crds::{Branch, Snapshot, Tenant, TenantClass};
use tokio_util::sync::CancellationToken;

use branches::BranchFold;
use classes::ClassFold;
use fold::{Watch, fold};
use namespaces::NamespaceFold;
use pods::PodFold;
use secrets::secrets;
use snapshots::SnapshotFold;
use tenants::TenantFold;

use super::{index::Index, queue::Queues};
use crate::context::Context;

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
