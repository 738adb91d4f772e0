//! The status of an object, written by reconcilers and by who has a part of it.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    core::object::HasStatus,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::is_absent;

/// Applies a status, if it is another one, to exactly the version of the object that it was computed from: a conflict means
/// that somebody changed it, and the reconcile is done again. Whether it was another one.
pub async fn apply<K>(
    api: &Api<K>,
    object: &K,
    manager: &str,
    status: &K::Status,
) -> Result<bool, kube::Error>
where
    K: Resource<DynamicType = ()> + HasStatus + Clone + DeserializeOwned + Debug,
    K::Status: Serialize + PartialEq + Sync,
{
    if object.status() == Some(status) {
        return Ok(false);
    }
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {
            "name": object.name_any(),
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
        },
        "status": status,
    });
    let params = PatchParams::apply(manager).force();
    api.patch_status(&object.name_any(), &params, &Patch::Apply(&patch)).await?;
    Ok(true)
}

/// Writes fields of a status, whatever the object's version; one that is gone needs none.
pub async fn merge<K>(
    api: &Api<K>,
    name: &str,
    params: &PatchParams,
    fields: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    match api.patch_status(name, params, &Patch::Merge(json!({"status": fields}))).await {
        Err(error) if is_absent(&error) => Ok(()),
        other => other.map(drop),
    }
}
