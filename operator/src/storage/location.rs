//! Locations of tenants' data, as status records them, and whose the data is.

use kube::ResourceExt as _;
use roost_crds::{StorageLocation, TenantClass};
use roost_protocol::grant::TenantIdentity;
use roost_store::Owner;

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
