//! Owners of data, holders of branches, and where a tenant's data lies.

use std::fmt;

pub use roost_protocol::identity::{
    BranchName, DatabaseId, InvalidId, InvalidName, Lineage, MAX_BRANCH_NAME, MAX_NAME, ObjectId, PutId,
    check_label,
};
use serde::{Deserialize, Serialize};

/// Whose data a prefix holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// UID of the cluster's namespace `kube-system`, or `standalone`.
    #[serde(rename = "clusterID")]
    pub cluster_id: String,
    /// UID of the tenant's namespace.
    #[serde(rename = "namespaceUID")]
    pub namespace_uid: String,
    /// UID of the Tenant object.
    #[serde(rename = "tenantUID")]
    pub tenant_uid: String,
}

impl Owner {
    /// Whether a recreated Tenant of this owner may re-attach: same cluster, same namespace object.
    pub fn same_namespace(&self, other: &Self) -> bool {
        self.cluster_id == other.cluster_id && self.namespace_uid == other.namespace_uid
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {} namespace {} tenant {}", self.cluster_id, self.namespace_uid, self.tenant_uid)
    }
}

/// Holder of a branch: one process that took it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name for people: a pod's, or `standalone`.
    pub name: String,
    /// Unique for the process: a pod's UID, or random.
    pub id: String,
}

/// Where a tenant's data lives: `<prefix>/tenants/<namespace>/<tenant>/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TenantPath {
    /// Key prefix within the bucket; empty, or segments joined by `/` without one at either end.
    pub prefix: String,
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name of the Tenant.
    pub tenant: String,
}

impl TenantPath {
    /// Checks the three parts.
    pub fn new(
        prefix: impl Into<String>,
        namespace: impl Into<String>,
        tenant: impl Into<String>,
    ) -> Result<Self, InvalidName> {
        let path = Self { prefix: prefix.into(), namespace: namespace.into(), tenant: tenant.into() };
        check_label("namespace", &path.namespace, MAX_NAME)?;
        check_label("tenant name", &path.tenant, MAX_BRANCH_NAME)?;
        if !path.prefix.is_empty() && crate::object::check_key(&path.prefix).is_err() {
            return Err(InvalidName {
                what: "prefix",
                name: path.prefix,
                limit: crate::object::MAX_KEY_BYTES,
            });
        }
        Ok(path)
    }
}
