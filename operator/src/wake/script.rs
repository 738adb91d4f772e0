//! The init script that a pod gets: the bucket knows it before the pod does.

use roost_protocol::{
    grant::{StorageLocation, TenantIdentity},
    problem::Problem,
};
use roost_store::{TenantError, TenantPath, TenantStore};

use crate::{context::Context, fault, inputs, storage::OpenError, whereabouts};

/// Writes down what a tenant's data is about to come from.
pub async fn note(
    context: &Context,
    storage: &StorageLocation,
    identity: &TenantIdentity,
    script: &str,
) -> Result<(), Problem> {
    let bucket = context.buckets.client(storage).await.map_err(|error| OpenError::from(error).problem())?;
    let told = |error: TenantError| {
        let fault = fault::of_tenant(&error);
        Problem::new(fault::code(fault.reason), fault.message)
    };
    let path = TenantPath::new(&*storage.prefix, &*identity.namespace, &*identity.name);
    let path = path.map_err(|error| told(error.into()))?;
    let owner = whereabouts::owner_of(identity);
    let store = TenantStore::new(bucket, path, owner, context.environment.clone());
    store.note_script(&inputs::script_hash(script)).await.map_err(told)
}
