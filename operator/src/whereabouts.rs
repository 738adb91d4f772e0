//! From an object to the place of its data and back to a store that may act on it.

use kube::{Api, ResourceExt as _, api::ListParams};
use roost_crds::{Branch, StorageLocation, TenantClass};
use roost_protocol::grant::TenantIdentity;
use roost_store::{Owner, TenantPath, TenantStore};

use crate::{
    context::Context,
    storage::{OpenError, Place},
    work::ReconcileError,
};

/// Where a tenant's data lies and whose it is.
pub fn locate(class: &TenantClass, identity: &TenantIdentity, below: &str) -> StorageLocation {
    let storage = &class.spec.storage;
    let slash = if storage.prefix().is_empty() { "" } else { "/" };
    let (namespace, tenant) = (&identity.namespace, &identity.name);
    StorageLocation {
        class_name: class.name_any(),
        bucket: storage.bucket.clone(),
        prefix: storage.prefix().to_owned(),
        endpoint: storage.endpoint.clone(),
        region: storage.region.clone(),
        path_style: storage.path_style(),
        credentials_secret: storage.credentials_secret().unwrap_or_default().to_owned(),
        ca_secret: storage.ca_secret().map(str::to_owned),
        namespace: namespace.clone(),
        tenant: tenant.clone(),
        cluster_id: identity.cluster_id.clone(),
        namespace_uid: identity.namespace_uid.clone(),
        tenant_uid: identity.tenant_uid.clone(),
        path: format!("{}{slash}tenants/{namespace}/{tenant}/{below}", storage.prefix()),
    }
}

/// The identity that a location records.
pub fn identity(location: &StorageLocation) -> TenantIdentity {
    TenantIdentity {
        namespace: location.namespace.clone(),
        name: location.tenant.clone(),
        cluster_id: location.cluster_id.clone(),
        namespace_uid: location.namespace_uid.clone(),
        tenant_uid: location.tenant_uid.clone(),
    }
}

/// The owner that a location records.
pub fn owner(location: &StorageLocation) -> Owner {
    owner_of(&identity(location))
}

/// An identity as the bucket knows it.
pub fn owner_of(identity: &TenantIdentity) -> Owner {
    Owner {
        cluster_id: identity.cluster_id.clone(),
        namespace_uid: identity.namespace_uid.clone(),
        tenant_uid: identity.tenant_uid.clone(),
    }
}

/// The path that a location records.
pub fn path(location: &StorageLocation) -> Result<TenantPath, ReconcileError> {
    TenantPath::new(&location.prefix, &location.namespace, &location.tenant)
        .map_err(|error| ReconcileError::Unexpected(error.to_string()))
}

/// Opens the tenant's prefix.
pub async fn tenant_store(
    context: &Context,
    location: &StorageLocation,
) -> Result<TenantStore, ReconcileError> {
    let bucket = context.buckets.open(&Place::from(location)).await?;
    Ok(TenantStore::new(bucket, path(location)?, owner(location), context.environment.clone()))
}

/// Opens the tenant's prefix with the keys of its class.
pub async fn unlocking_store(
    context: &Context,
    class: &TenantClass,
    location: &StorageLocation,
) -> Result<TenantStore, ReconcileError> {
    let keys = context.buckets.class_keys(class.spec.encryption.as_ref()).await?;
    Ok(tenant_store(context, location).await?.with_class_keys(keys.map(|(keys, _)| keys)))
}

/// The reason that a failure to open has in conditions; a passing failure stays an error.
pub fn open_fault(error: ReconcileError) -> Result<crate::fault::Fault, ReconcileError> {
    match error {
        ReconcileError::Open(error) => match OpenError::reason(&error) {
            Some(reason) => Ok(crate::fault::Fault::new(reason, error.to_string())),
            None => Err(error.into()),
        },
        error => Err(error),
    }
}

/// The Branch object that has a branch's name: the one that made it, else any that wants it.
pub async fn find_branch(
    context: &Context,
    namespace: &str,
    tenant: &str,
    branch: &str,
) -> Result<Option<Branch>, kube::Error> {
    let api: Api<Branch> = Api::namespaced(context.client.clone(), namespace);
    let of_tenant = ListParams::default().fields(&format!("spec.tenantName={tenant}"));
    let mut named: Vec<_> =
        api.list(&of_tenant).await?.items.into_iter().filter(|found| found.branch_name() == branch).collect();
    named.sort_by_key(|found| found.status.as_ref().is_none_or(|status| status.position.is_none()));
    Ok(named.into_iter().next())
}
