//! The bucket that a grant names.

use roost_protocol::{
    grant::{Grant, StorageLocation, TenantIdentity},
    problem::{ErrorCode, Problem},
};
use roost_store::{DataKey, Environment, ObjectStore, Owner, S3Config, S3Store, TenantPath, TenantStore};
use std::sync::Arc;

/// A client for the bucket. Sends nothing.
/// Errors: `tenant-not-ready`.
pub fn bucket(location: &StorageLocation) -> Result<Arc<dyn ObjectStore>, Problem> {
    let store = S3Store::new(&S3Config::of(location))
        .map_err(|error| Problem::new(ErrorCode::TenantNotReady, format!("the class's storage: {error}")))?;
    Ok(Arc::new(store))
}

/// The owner that the tenant's data must belong to.
pub fn owner(tenant: &TenantIdentity) -> Owner {
    Owner {
        cluster_id: tenant.cluster_id.clone(),
        namespace_uid: tenant.namespace_uid.clone(),
        tenant_uid: tenant.tenant_uid.clone(),
    }
}

/// The tenant's place in the bucket.
/// Errors: `bad-request`.
pub fn path(location: &StorageLocation, tenant: &TenantIdentity) -> Result<TenantPath, Problem> {
    TenantPath::new(&location.prefix, &tenant.namespace, &tenant.name)
        .map_err(|error| Problem::new(ErrorCode::BadRequest, error.to_string()))
}

/// The tenant's prefix, with the key of its data.
/// Errors: `bad-request`.
pub fn tenant(
    store: Arc<dyn ObjectStore>,
    grant: &Grant,
    environment: Environment,
) -> Result<TenantStore, Problem> {
    let key = grant.data_key.as_ref().map(|key| DataKey::from_hex("of the grant", key.expose()));
    let key = key.transpose().map_err(|error| Problem::new(ErrorCode::BadRequest, error.to_string()))?;
    let tenant =
        TenantStore::new(store, path(&grant.storage, &grant.tenant)?, owner(&grant.tenant), environment);
    Ok(tenant.with_data_key(key.as_ref()))
}

/// A branch's name as the store knows it.
/// Errors: `bad-request`.
pub fn branch(name: &str) -> Result<roost_store::BranchName, Problem> {
    roost_store::BranchName::new(name).map_err(|error| Problem::new(ErrorCode::BadRequest, error.to_string()))
}
