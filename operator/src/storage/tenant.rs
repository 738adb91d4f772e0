//! A tenant's prefix in its bucket.

use roost_crds::{StorageLocation, TenantClass};
use roost_protocol::grant::{self, TenantIdentity};
use roost_store::{BranchName, TenantError, TenantPath, TenantStore};

use super::{
    Buckets, OpenError, Place, StepError,
    location::{owner, owner_of},
};

impl Buckets {
    /// The prefix of the tenant whose location was recorded.
    pub async fn tenant(&self, location: &StorageLocation) -> Result<TenantStore, OpenError> {
        let bucket = self.open(&Place::from(location)).await?;
        let path = TenantPath::new(&location.prefix, &location.namespace, &location.tenant)?;
        Ok(TenantStore::new(bucket, path, owner(location), self.environment.clone()))
    }

    /// The same, with the keys of its class.
    pub async fn tenant_with_keys(
        &self,
        class: &TenantClass,
        location: &StorageLocation,
    ) -> Result<TenantStore, OpenError> {
        let keys = self.class_keys(class.spec.encryption.as_ref()).await?;
        Ok(self.tenant(location).await?.with_class_keys(keys.map(|(keys, _)| keys)))
    }

    /// The prefix of a tenant in a bucket whose Secrets were read.
    pub async fn tenant_in(
        &self,
        storage: &grant::StorageLocation,
        identity: &TenantIdentity,
    ) -> Result<TenantStore, StepError> {
        let bucket = self.client(storage).await.map_err(OpenError::from)?;
        let path = TenantPath::new(&*storage.prefix, &*identity.namespace, &*identity.name);
        let path = path.map_err(TenantError::from)?;
        Ok(TenantStore::new(bucket, path, owner_of(identity), self.environment.clone()))
    }

    /// Whether a tenant's data was deleted; any doubt is no.
    pub async fn is_deleted(&self, location: &StorageLocation) -> bool {
        let Ok(store) = self.tenant(location).await else { return false };
        matches!(
            store.head(&BranchName::main()).await,
            Err(TenantError::BranchNotFound(_) | TenantError::DataMissing { .. })
        )
    }
}
