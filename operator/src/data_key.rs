//! The key of a tenant's data, for the pod that is to read or write it.

use roost_crds::TenantClassSpec;
use roost_protocol::{
    grant::{StorageLocation, TenantIdentity},
    problem::Problem,
    secret::Secret,
};
use roost_store::{KeyError, TenantError, TenantPath, TenantStore};

use crate::{context::Context, fault, storage::OpenError, whereabouts};

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

impl From<KeyError> for DataKeyError {
    fn from(error: KeyError) -> Self {
        Self::Tenant(error.into())
    }
}

impl DataKeyError {
    /// What a client is told.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Open(error) => error.problem(),
            Self::Tenant(error) => {
                let fault = fault::of_tenant(error);
                Problem::new(fault::code(fault.reason), fault.message)
            }
        }
    }
}

/// Unwraps the key of a tenant's data, as a grant carries it; none if it is not encrypted. `told` is what the Tenant's
/// status says of it: whoever can write to the bucket cannot have an encrypted tenant served in the clear. Asks the
/// bucket only where class or Tenant encrypts, and for keys only where the tenant is encrypted.
pub async fn unwrapped(
    context: &Context,
    class: &TenantClassSpec,
    storage: &StorageLocation,
    identity: &TenantIdentity,
    told: Option<&str>,
) -> Result<Option<Secret>, DataKeyError> {
    if class.encryption.is_none() {
        return if told.is_some() { Err(KeyError::NotGiven.into()) } else { Ok(None) };
    }
    let bucket = context.buckets.client(storage).await.map_err(OpenError::from)?;
    let path = TenantPath::new(&*storage.prefix, &*identity.namespace, &*identity.name);
    let path = path.map_err(TenantError::from)?;
    let owner = whereabouts::owner_of(identity);
    let store = TenantStore::new(bucket, path, owner, context.environment.clone());
    let Some(wrapped) = store.wrapped_data_key().await? else {
        return if told.is_some() { Err(KeyError::Removed.into()) } else { Ok(None) };
    };
    let keys = context.buckets.class_keys(class.encryption.as_ref()).await?.map(|(keys, _)| keys);
    let key = wrapped.unwrap(keys.as_deref())?;
    Ok(Some(Secret::new(key.to_hex().as_str())))
}
