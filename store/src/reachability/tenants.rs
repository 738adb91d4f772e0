//! Which tenants a bucket holds, whoever they belong to.

use std::sync::Arc;

use crate::bucket::Bucket;
use crate::environment::Environment;
use crate::format::ReadError;
use crate::identity::TenantPath;
use crate::keys::join_prefix;
use crate::object::ObjectStore;

/// Every tenant below a prefix, in the order of their keys. One LIST of a key for each tenant.
///
/// # Errors
/// When the bucket does not answer.
pub async fn tenants(
    store: Arc<dyn ObjectStore>,
    prefix: &str,
    environment: Environment,
) -> Result<Vec<TenantPath>, ReadError> {
    let bucket = Bucket { store, environment };
    let folder = join_prefix(prefix, "tenants/");
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let listed = bucket.list(&folder, after.as_deref(), 1).await?;
        let Some(first) = listed.first() else { return Ok(found) };
        let mut parts = first.key[folder.len()..].split('/');
        let names = (parts.next(), parts.next(), parts.next());
        let path = match names {
            (Some(namespace), Some(tenant), Some(_)) => TenantPath::new(prefix, namespace, tenant).ok(),
            _ => None,
        };
        after = Some(match path {
            Some(path) => {
                // '0' follows '/': everything of this tenant lies before, every other one behind.
                let next = format!("{folder}{}/{}0", path.namespace, path.tenant);
                found.push(path);
                next
            }
            // Not a tenant's: past it, a page at a time would be no less.
            None => first.key.clone(),
        });
    }
}
