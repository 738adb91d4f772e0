//! The key of a tenant's data, for the pod that is to read or write it.

use roost_crds::TenantClassSpec;
use roost_protocol::{
    grant::{StorageLocation, TenantIdentity},
    problem::{ErrorCode, Problem},
    secret::Secret,
};
use roost_store::{Advice, TenantError, TenantPath, TenantStore};

use crate::{context::Context, storage::OpenError, whereabouts};

/// A data key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DataKeyError {
    /// The class's keys or its bucket could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tenant's record could not be read, or its key not be unwrapped.
    #[error(transparent)]
    Tenant(#[from] TenantError),
}

impl DataKeyError {
    /// What a client is told.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Open(error) => error.problem(),
            Self::Tenant(error) if error.advice() == Advice::Retry => {
                Problem::new(ErrorCode::StorageUnreachable, error.to_string())
            }
            Self::Tenant(error) => Problem::new(ErrorCode::TenantNotReady, error.to_string()),
        }
    }
}

/// Unwraps the key of a tenant's data, as a grant carries it; none if it is not encrypted. Asks the bucket only where the
/// class encrypts.
pub async fn unwrapped(
    context: &Context,
    class: &TenantClassSpec,
    storage: &StorageLocation,
    identity: &TenantIdentity,
) -> Result<Option<Secret>, DataKeyError> {
    let Some((keys, _)) = context.buckets.class_keys(class.encryption.as_ref()).await? else {
        return Ok(None);
    };
    let bucket = context.buckets.client(storage).await.map_err(OpenError::from)?;
    let path = TenantPath::new(&*storage.prefix, &*identity.namespace, &*identity.name)
        .map_err(TenantError::from)?;
    let owner = whereabouts::owner_of(identity);
    let store =
        TenantStore::new(bucket, path, owner, context.environment.clone()).with_class_keys(Some(keys));
    Ok(store.data_key().await?.map(|key| Secret::new(key.to_hex().as_str())))
}
