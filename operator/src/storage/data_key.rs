//! The key of a tenant's data, for the pod that is to read or write it.

use roost_crds::TenantClassSpec;
use roost_protocol::{
    grant::{StorageLocation, TenantIdentity},
    secret::Secret,
};
use roost_store::KeyError;

use super::{Buckets, StepError};

impl Buckets {
    /// Unwraps the key of a tenant's data, as a grant carries it; none if it is not encrypted. `recorded` is the name of the
    /// wrapping key in the Tenant's status: whoever can write to the bucket cannot have an encrypted tenant served in the
    /// clear. Asks the bucket only where class or Tenant encrypts, and for keys only where the tenant is encrypted.
    pub async fn data_key(
        &self,
        class: &TenantClassSpec,
        storage: &StorageLocation,
        identity: &TenantIdentity,
        recorded: Option<&str>,
    ) -> Result<Option<Secret>, StepError> {
        if class.encryption.is_none() {
            return if recorded.is_some() { Err(KeyError::NotGiven.into()) } else { Ok(None) };
        }
        let store = self.tenant_in(storage, identity).await?;
        let Some(wrapped) = store.wrapped_data_key().await? else {
            return if recorded.is_some() { Err(KeyError::Removed.into()) } else { Ok(None) };
        };
        let keys = self.class_keys(class.encryption.as_ref()).await?.map(|(keys, _)| keys);
        let key = wrapped.unwrap(keys.as_deref())?;
        Ok(Some(Secret::new(key.to_hex().as_str())))
    }
}
