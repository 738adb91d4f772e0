//! Data whose object was deleted and that was kept: may an object that was made again under its name have it?

use std::fmt::Debug;

use kube::{Api, Resource, ResourceExt as _, api::ListParams, runtime::events::EventType};
use serde::de::DeserializeOwned;

use crate::context::Context;

/// Whether no object of this kind in the namespace has the uid any more; uids never come back. Asked of the API server
/// itself: a cache may be behind.
pub async fn is_gone<K>(api: &Api<K>, uid: &str) -> Result<bool, kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let there = api.list_metadata(&ListParams::default()).await?;
    Ok(there.items.iter().all(|object| object.uid().as_deref() != Some(uid)))
}

/// Says on an object that it got what an earlier one left behind, in the course of `action`.
pub async fn tell<K: Resource<DynamicType = ()>>(context: &Context, object: &K, action: &str) {
    let note = format!("the data of an earlier {} object of this name was found", K::kind(&()));
    context.event(object, EventType::Normal, "Reattached", action, &note).await;
}
