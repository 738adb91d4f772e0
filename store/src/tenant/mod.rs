//! Everything under one tenant's prefix that is not one branch's writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::branch::BranchStore;
use crate::bucket::Bucket;
use crate::encryption::{ClassKeys, Codec, DataKey};
use crate::environment::Environment;
use crate::format::ReadError;
use crate::format::head::Head;
use crate::format::tenant::{Stage, TenantRecord};
use crate::identity::{BranchName, Lineage, Owner, PutId, TenantPath};
use crate::keys::Keys;
use crate::object::{ETag, ObjectStore};
use crate::position::{DatedPosition, Position};

mod branches;
mod copied_wal;
mod data_key;
mod deletion;
mod error;
mod initialize;
mod moment;
mod pins;
mod reattach;
mod restore;
mod snapshots;
mod source;

pub use data_key::WrappedDataKey;
pub use deletion::MAX_DELETE_ROUNDS;
pub use error::TenantError;
pub(crate) use pins::MAX_CONDEMNED_LISTS;
pub use restore::CopySource;

/// Whether the caller may create a database where none is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// Nothing shows that the tenant ever had data.
    NewTenant,
    /// The tenant has a position in its status: missing data is a loss.
    KnownTenant,
}

/// Whom data may be taken over from, besides an earlier Tenant of the same cluster and namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The Tenant's `adopt`: cluster id and namespace UID.
    pub from: Option<(String, String)>,
    /// The class's `adoptFrom`: cluster ids whose data may be taken over.
    pub clusters: Vec<String>,
}

/// A tenant's main branch, as [`TenantStore::initialize`] found or made it.
#[derive(Debug, Clone)]
pub struct Initialized {
    /// Whether main's HEAD was created by this call.
    pub created: bool,
    /// Owner that the data was taken over from by this call.
    pub adopted_from: Option<Owner>,
    /// Main's HEAD.
    pub head: Head,
    /// Name of the class's key that wraps the tenant's data key; none if the tenant is not encrypted.
    pub wrapped_by: Option<String>,
}

/// A pin that was written, and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pinned {
    /// Key of the pin, relative to the tenant's prefix.
    pub pin: String,
    /// The position that it keeps alive.
    pub position: Position,
    /// Time of the last commit in it.
    pub last_commit: Option<jiff::Timestamp>,
}

/// Starting point of a new branch.
#[derive(Debug, Clone)]
pub enum BranchSource {
    /// All of a branch that is durable.
    Branch(BranchName),
    /// A branch as it was right after its last commit at or before a moment.
    Moment(BranchName, jiff::Timestamp),
    /// A native snapshot of this tenant.
    Snapshot(String),
    /// Any position of this tenant.
    Position(DatedPosition),
}

/// The Branch object that a branch is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchObject<'a> {
    /// Its name: rights on the branch are rights on this name.
    pub name: &'a str,
    /// Its uid: tells it from others of its name.
    pub uid: &'a str,
}

/// A branch that was created.
#[derive(Debug, Clone)]
pub struct CreatedBranch {
    /// Its HEAD.
    pub head: Head,
}

/// One tenant's prefix. Ownership is proven by the first call that writes, once per value: make one per
/// reconcile, do not keep it for long.
#[derive(Debug, Clone)]
pub struct TenantStore {
    bucket: Bucket,
    path: TenantPath,
    keys: Keys,
    owner: Owner,
    proven: Arc<AtomicBool>,
    class_keys: Option<Arc<ClassKeys>>,
}

impl TenantStore {
    /// Names a tenant's prefix and who acts. Sends nothing.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        path: TenantPath,
        owner: Owner,
        environment: Environment,
    ) -> Self {
        let keys = Keys::new(&path);
        let bucket = Bucket::new(store, environment);
        Self { bucket, path, keys, owner, proven: Arc::default(), class_keys: None }
    }

    /// With the keys of the tenant's class: a new tenant gets a data key, and what is copied can be read.
    #[must_use]
    pub fn with_class_keys(self, keys: Option<Arc<ClassKeys>>) -> Self {
        Self { class_keys: keys, ..self }
    }

    /// With the tenant's data key, for whoever reads or writes its database; none if it is not encrypted.
    #[must_use]
    pub fn with_data_key(mut self, key: Option<&DataKey>) -> Self {
        self.bucket.codec = Codec::new(key);
        self
    }

    /// Where the data is: the tenant's prefix, ending in `/`.
    pub fn location(&self) -> &str {
        self.keys.root()
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// One branch, for its writer or for readers.
    pub fn branch(&self, name: &BranchName) -> BranchStore {
        BranchStore {
            bucket: self.bucket.clone(),
            keys: self.keys.clone(),
            owner: self.owner.clone(),
            name: name.clone(),
        }
    }

    /// HEAD of a branch.
    pub async fn head(&self, name: &BranchName) -> Result<Head, TenantError> {
        let found = self.bucket.find::<Head>(&self.keys.head(name)).await?;
        let head = found.map(|(head, _)| head).filter(|head| !head.deleted);
        head.ok_or_else(|| TenantError::BranchNotFound(name.clone()))
    }

    /// Whether the prefix is this owner's. None: there is no `tenant.json`. Writes nothing.
    async fn find_own(&self) -> Result<Option<(TenantRecord, ETag)>, TenantError> {
        let found = self.bucket.find::<TenantRecord>(&self.keys.tenant()).await?;
        match found {
            Some((record, _)) if record.owner != self.owner => Err(self.owned_elsewhere(record)),
            found => Ok(found),
        }
    }

    /// Before anything is written or deleted: the prefix is this owner's, and is not being deleted.
    pub(crate) async fn prove_owner(&self) -> Result<(), TenantError> {
        if self.proven.load(Ordering::Acquire) {
            return Ok(());
        }
        let key = self.keys.tenant();
        let (record, _) = self.find_own().await?.ok_or(TenantError::DataMissing { key })?;
        if record.stage == Stage::Deleting {
            return Err(self.being_deleted());
        }
        self.proven.store(true, Ordering::Release);
        Ok(())
    }

    fn owned_elsewhere(&self, record: TenantRecord) -> TenantError {
        TenantError::OwnedElsewhere { location: self.keys.root().to_owned(), by: record.owner }
    }

    fn being_deleted(&self) -> TenantError {
        TenantError::BeingDeleted { location: self.keys.root().to_owned() }
    }

    fn put_id(&self) -> PutId {
        PutId::from_bytes(self.bucket.environment.random_id())
    }

    /// HEAD of a branch with a history of its own that nobody has opened.
    fn new_head(
        &self,
        branch: &BranchName,
        object: Option<BranchObject<'_>>,
        source: Option<DatedPosition>,
    ) -> Head {
        let last_commit = source.as_ref().and_then(|source| source.last_commit);
        Head {
            put_id: self.put_id(),
            branch: branch.clone(),
            uid: object.map(|object| object.uid.to_owned()),
            object: object.map(|object| object.name.to_owned()),
            lineage: Lineage::from_bytes(self.bucket.environment.random_id()),
            epoch: 0,
            holder: None,
            manifest: None,
            source: source.map(|source| source.position),
            stream: None,
            sealed: true,
            deleted: false,
            last_commit,
        }
    }

    /// A position's manifest must still be there before a pin on it is a promise.
    async fn check_exists(&self, position: &Position) -> Result<bool, ReadError> {
        let found =
            self.bucket.find::<crate::format::manifest::Manifest>(&self.keys.manifest(position)).await?;
        Ok(found.is_some_and(|(manifest, _)| manifest.position() == position.base()))
    }
}
