//! Survey of a bucket's prefix: its tenants, whoever they belong to, and the objects beside them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Report, Standing};
use crate::bucket::Bucket;
use crate::environment::Environment;
use crate::format::ReadError;
use crate::identity::TenantPath;
use crate::keys::join_prefix;
use crate::object::{Listed, MAX_LIST_PAGE, ObjectStore};
use crate::snapshot_folder::METADATA;

/// Everything below a prefix.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The tenants, in the order of their keys. [`super::walk()`] tells of each.
    pub tenants: Vec<TenantPath>,
    /// Objects of no tenant: folders of Parquet snapshots, objects of probes, and those that Roost does not know.
    pub outside: Report,
}

/// Lists a prefix, a page for each tenant.
///
/// # Errors
/// When the bucket does not answer.
pub async fn survey(
    store: Arc<dyn ObjectStore>,
    prefix: &str,
    environment: Environment,
) -> Result<Survey, ReadError> {
    let bucket = Bucket::new(store, environment);
    let root = join_prefix(prefix, "");
    let (mut tenants, mut outside) = (Vec::new(), Vec::new());
    let mut after: Option<String> = None;
    loop {
        let page = bucket.list_first(&root, after.as_deref(), MAX_LIST_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        for listed in page {
            match tenant_of(prefix, &listed.key[root.len()..]) {
                None => outside.push(listed),
                Some(tenant) => {
                    // '0' follows '/': everything of this tenant lies before, every other one behind.
                    after = Some(format!("{root}tenants/{}/{}0", tenant.namespace, tenant.tenant));
                    tenants.push(tenant);
                    break;
                }
            }
        }
    }
    Ok(Survey { tenants, outside: judge(&root, &outside) })
}

fn tenant_of(prefix: &str, relative: &str) -> Option<TenantPath> {
    let mut parts = relative.strip_prefix("tenants/")?.splitn(3, '/');
    let (namespace, tenant, _object) = (parts.next()?, parts.next()?, parts.next()?);
    TenantPath::new(prefix, namespace, tenant).ok()
}

fn judge(root: &str, listed: &[Listed]) -> Report {
    let complete: BTreeSet<&str> =
        listed.iter().filter_map(|listed| listed.key.strip_suffix(METADATA)).collect();
    let mut report = Report::new(root);
    for Listed { key, size } in listed {
        let relative = &key[root.len()..];
        // snapshots/<namespace>/<tenant>/<name>/...
        let folder = relative.match_indices('/').nth(3).map(|(end, _)| &key[..=root.len() + end]);
        let standing = match (relative.split('/').next(), folder) {
            (Some("snapshots"), Some(folder)) if complete.contains(folder) => None,
            (Some("snapshots"), Some(_)) => {
                Some(Standing::UnderWay("the snapshot is not finished (yet)".into()))
            }
            (Some(".roost"), _) if relative.starts_with(".roost/probe-") => {
                Some(Standing::UnderWay("made by a probe of the endpoint".into()))
            }
            _ => Some(Standing::Unknown("not a name that Roost gives".into())),
        };
        report.add(key, *size, standing);
    }
    report
}
