//! The grant that a pod is handed: the same for every task.

use roost_crds::TenantClassSpec;
use roost_protocol::{
    PROTOCOL_VERSION,
    grant::{GRANT_VALIDITY, Grant, StorageLocation, Task, TenantIdentity},
    secret::Secret,
    time::UnixMillis,
};
use uuid::Uuid;

use super::settings;
use crate::{
    context::{Context, NoTrust},
    pods::PodView,
    storage::{OpenError, Place, StepError},
};

/// The access to a tenant's data that a grant carries.
pub struct DataAccess {
    /// The tenant, and whom its data belongs to.
    pub identity: TenantIdentity,
    /// The place of the data, with the credentials to reach it.
    pub storage: StorageLocation,
    /// The key of the data; none if it is not encrypted.
    pub data_key: Option<Secret>,
}

/// The access to a tenant's data cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The Secrets of the bucket.
    #[error(transparent)]
    Storage(OpenError),
    /// The key of the data.
    #[error(transparent)]
    DataKey(StepError),
}

impl DataAccess {
    /// Reads the Secrets of the place and unwraps the key of the data. `recorded` is the name of the key that wraps it, as
    /// the Tenant's status says.
    pub async fn of(
        context: &Context,
        class: &TenantClassSpec,
        place: &Place,
        identity: TenantIdentity,
        recorded: Option<&str>,
    ) -> Result<Self, AccessError> {
        let buckets = &context.buckets;
        let (storage, _version) = buckets.resolve(place).await.map_err(AccessError::Storage)?;
        let data_key = buckets.data_key(class, &storage, &identity, recorded).await;
        let data_key = data_key.map_err(AccessError::DataKey)?;
        Ok(Self { identity, storage, data_key })
    }
}

/// The grant of a task on a branch, for one very pod.
#[allow(clippy::disallowed_methods, reason = "a nonce has to be unguessable")]
pub fn grant(
    context: &Context,
    pod: &PodView,
    class: &TenantClassSpec,
    access: DataAccess,
    branch: &str,
    task: Task,
) -> Result<Grant, NoTrust> {
    let DataAccess { identity, storage, data_key } = access;
    Ok(Grant {
        version: PROTOCOL_VERSION,
        pod: pod.name.clone(),
        pod_uid: pod.uid.clone(),
        not_after: UnixMillis::clamped(context.now().as_millisecond()).plus(GRANT_VALIDITY),
        nonce: Uuid::new_v4(),
        tenant: identity,
        branch: branch.to_owned(),
        storage,
        data_key,
        task,
        engine: settings::engine_limits(class),
        gateway_key: context.trusted()?.trust.session_key,
    })
}
