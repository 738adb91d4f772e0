//! Where each object of a tenant lives.

use crate::format::name::ObjectName;
use crate::identity::{BranchName, TenantPath};
use crate::position::{Position, StreamId};

/// Keys under `<prefix>/tenants/<namespace>/<tenant>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    root: String,
}

impl Keys {
    pub(crate) fn new(path: &TenantPath) -> Self {
        let folder = format!("tenants/{}/{}/", path.namespace, path.tenant);
        Self { root: join_prefix(&path.prefix, &folder) }
    }
    /// The tenant's prefix, ending in `/`.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }
    /// A key of the tenant's without its prefix; none if it is another's.
    pub(crate) fn within<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.root)
    }
    pub(crate) fn tenant(&self) -> String {
        format!("{}tenant.json", self.root)
    }
    pub(crate) fn branches(&self) -> String {
        format!("{}branches/", self.root)
    }
    pub(crate) fn head(&self, branch: &BranchName) -> String {
        format!("{}branches/{branch}/HEAD", self.root)
    }
    /// Numbers are padded so that a listing is in their order.
    pub(crate) fn manifest(&self, position: &Position) -> String {
        let Position { branch, lineage, epoch, manifest, id, .. } = position;
        format!(
            "{}branches/{branch}/manifests/{manifest:010}-{branch}.{lineage}.{epoch}.{manifest}.{id}",
            self.root
        )
    }
    /// Prefix of all slots of a WAL stream.
    pub(crate) fn slots(&self, branch: &BranchName, stream: &StreamId) -> String {
        format!("{}branches/{branch}/wal/{stream}/", self.root)
    }
    /// Key of one slot of a WAL stream; its number is padded, so that a listing is in order.
    pub(crate) fn slot(&self, branch: &BranchName, stream: &StreamId, sequence: u64) -> String {
        format!("{}{sequence:010}", self.slots(branch, stream))
    }
    /// Key of the object that holds all segments of a stream that is over.
    pub(crate) fn merged(&self, branch: &BranchName, stream: &StreamId) -> String {
        format!("{}branches/{branch}/merged/{stream}", self.root)
    }
    pub(crate) fn pack(&self, name: &ObjectName) -> String {
        format!("{}packs/{name}", self.root)
    }
    pub(crate) fn page(&self, name: &ObjectName) -> String {
        format!("{}pages/{name}", self.root)
    }
    /// A key that an object names relative to the tenant's prefix.
    pub(crate) fn relative(&self, key: &str) -> String {
        format!("{}{key}", self.root)
    }
    pub(crate) fn pins(&self) -> String {
        format!("{}pins/", self.root)
    }
    pub(crate) fn condemned(&self) -> String {
        format!("{}condemned/", self.root)
    }
    pub(crate) fn catalogue(&self) -> String {
        format!("{}catalogue/", self.root)
    }
    pub(crate) fn snapshot(&self, name: &str) -> String {
        format!("{}catalogue/{name}", self.root)
    }
}

/// `rest` below an optional prefix.
pub(crate) fn join_prefix(prefix: &str, rest: &str) -> String {
    if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}/{rest}") }
}
