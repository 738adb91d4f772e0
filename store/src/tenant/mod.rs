//! Everything under one tenant's prefix that is not one branch's writer.

use std::sync::Arc;

use crate::advice::Advice;
use crate::branch::BranchStore;
use crate::bucket::WriteError;
use crate::environment::Environment;
use crate::format::ReadError;
use crate::format::catalogue::CatalogueEntry;
use crate::format::head::Head;
use crate::format::pin::PinKind;
use crate::identity::{BranchName, InvalidName, Owner, TenantPath};
use crate::object::ObjectStore;
use crate::position::{DatedPosition, Position};

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

/// What [`TenantStore::initialize`] found or made.
#[derive(Debug, Clone)]
pub struct Initialized {
    /// Whether main's HEAD was created by this call.
    pub created: bool,
    /// Owner that the data was taken over from by this call.
    pub adopted_from: Option<Owner>,
    /// Main's HEAD.
    pub head: Head,
}

/// A step on a tenant's prefix failed.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// The prefix holds another owner's data. Nothing was written or deleted.
    #[error("the data at {location} belongs to {by}; to take it over, name that owner in spec.adopt")]
    OwnedElsewhere {
        /// The prefix.
        location: String,
        /// Its owner.
        by: Owner,
    },
    /// The tenant had data, and it is not there. Nothing was written.
    #[error(
        "the tenant's data is missing: {key} does not exist; restore the bucket, or delete and recreate the Tenant to start empty"
    )]
    DataMissing {
        /// What is missing.
        key: String,
    },
    /// There are objects, but no `tenant.json` says whose. Nothing was written or deleted.
    #[error(
        "{location} holds objects but no tenant.json, so nobody owns them; remove them by hand if they are not needed"
    )]
    OwnerUnknown {
        /// The prefix.
        location: String,
    },
    /// A deletion of this prefix is under way or was interrupted.
    #[error("the data at {location} is being deleted; finish the deletion first")]
    BeingDeleted {
        /// The prefix.
        location: String,
    },
    /// No such branch.
    #[error("branch {0} does not exist")]
    BranchNotFound(BranchName),
    /// The name of a new branch is in use.
    #[error("the branch name {0} is taken")]
    BranchNameTaken(BranchName),
    /// The branch has never been published, so there is nothing to copy.
    #[error("branch {0} has no published state yet; connect to it once, then try again")]
    NothingPublished(BranchName),
    /// What was to be copied is no longer kept.
    #[error("the source position (branch {}, manifest {}) is no longer kept", .0.branch, .0.manifest)]
    SourceExpired(Box<Position>),
    /// Another snapshot has this name.
    #[error("snapshot {name} exists already, taken by {uid}")]
    SnapshotExists {
        /// The name.
        name: String,
        /// Uid of the one that has it.
        uid: String,
    },
    /// No such snapshot.
    #[error("snapshot {0} does not exist")]
    SnapshotNotFound(String),
    /// A snapshot that cannot be a source here.
    #[error("snapshot {name} cannot be restored from: {why}")]
    SourceUnsupported {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
    /// `main` cannot be deleted by itself.
    #[error("the branch main goes only with its tenant")]
    MainBranch,
    /// Objects kept appearing while the prefix was emptied.
    #[error("{left} objects are left under {location} after deleting; something still writes there")]
    NotEmpty {
        /// The prefix.
        location: String,
        /// How many.
        left: usize,
    },
    /// Too many branches of branches.
    #[error("the branch would have more than {0} ancestors; restore a snapshot into a new tenant instead")]
    TooManyAncestors(usize),
    /// A name is not valid.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// An object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An object could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl TenantError {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::BeingDeleted { .. } | Self::NothingPublished(_) | Self::NotEmpty { .. } => Advice::Retry,
            Self::BranchNotFound(_)
            | Self::BranchNameTaken(_)
            | Self::SourceExpired(_)
            | Self::SnapshotExists { .. }
            | Self::SnapshotNotFound(_)
            | Self::SourceUnsupported { .. }
            | Self::MainBranch
            | Self::TooManyAncestors(_)
            | Self::InvalidName(_) => Advice::FixInput,
            Self::OwnedElsewhere { .. } | Self::DataMissing { .. } | Self::OwnerUnknown { .. } => {
                Advice::AskOperator
            }
            Self::Read(error) => error.advice(),
            Self::Write(error) => error.advice(),
        }
    }
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

/// What a new branch starts from.
#[derive(Debug, Clone)]
pub enum BranchSource {
    /// The last publish of a branch.
    Branch(BranchName),
    /// A native snapshot of this tenant.
    Snapshot(String),
    /// Any position of this tenant.
    Position(DatedPosition),
}

/// What a branch was made as.
#[derive(Debug, Clone)]
pub struct CreatedBranch {
    /// Its HEAD.
    pub head: Head,
}

/// Progress of work on many chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Chunks done.
    pub chunks_done: u64,
    /// Chunks in all.
    pub chunks_total: u64,
    /// Bytes of the database file done.
    pub bytes_done: u64,
}

/// One tenant's prefix. Ownership is proven once per value: make one per reconcile, do not keep it for long.
#[derive(Debug, Clone)]
pub struct TenantStore {
    _todo: (),
}

#[allow(clippy::unused_async, unused_variables)]
impl TenantStore {
    /// Names a tenant's prefix and who acts. Sends nothing.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        path: TenantPath,
        owner: Owner,
        environment: Environment,
    ) -> Self {
        todo!()
    }
    /// Claims the prefix and creates main's HEAD (epoch 0, sealed, never published), or finds both. Idempotent.
    pub async fn initialize(
        &self,
        creation: Creation,
        adoption: &Adoption,
    ) -> Result<Initialized, TenantError> {
        todo!()
    }
    /// One branch, for its writer or for readers.
    pub fn branch(&self, name: &BranchName) -> BranchStore {
        todo!()
    }
    /// Creates a branch; at most 5 object operations once ownership is proven. `uid` is the Branch object's:
    /// a repeat by the same uid finds its own branch.
    pub async fn create_branch(
        &self,
        name: &BranchName,
        uid: &str,
        source: &BranchSource,
    ) -> Result<CreatedBranch, TenantError> {
        todo!()
    }
    /// Fences the branch's writer, then deletes its HEAD and the pins that serve it. Idempotent. A branch
    /// that another uid created is left alone.
    pub async fn delete_branch(&self, name: &BranchName, uid: &str) -> Result<(), TenantError> {
        todo!()
    }
    /// Pins the last publish of a branch (for a worker that exports it). Remove it with [`Self::unpin`].
    pub async fn pin(
        &self,
        kind: PinKind,
        name: &str,
        uid: &str,
        branch: &BranchName,
    ) -> Result<Pinned, TenantError> {
        todo!()
    }
    /// Removes a pin. Idempotent.
    pub async fn unpin(&self, pin: &str) -> Result<(), TenantError> {
        todo!()
    }
    /// Removes every pin of this kind, name and uid (leftovers of interrupted attempts).
    pub async fn unpin_all(&self, kind: PinKind, name: &str, uid: &str) -> Result<(), TenantError> {
        todo!()
    }
    /// Takes a native snapshot of a branch's last publish: a pin and a catalogue entry. Idempotent by uid.
    pub async fn snapshot(
        &self,
        name: &str,
        uid: &str,
        branch: &BranchName,
    ) -> Result<CatalogueEntry, TenantError> {
        todo!()
    }
    /// Records a finished Parquet snapshot in the catalogue. Idempotent by uid.
    pub async fn record_parquet(
        &self,
        name: &str,
        uid: &str,
        taken: &DatedPosition,
        location: &str,
        size: u64,
    ) -> Result<CatalogueEntry, TenantError> {
        todo!()
    }
    /// Removes a snapshot's catalogue entry and pins, if `uid` took it. Idempotent. Parquet files stay: see
    /// [`crate::snapshot_folder::SnapshotFolder::delete`].
    pub async fn delete_snapshot(&self, name: &str, uid: &str) -> Result<(), TenantError> {
        todo!()
    }
    /// One entry of the catalogue.
    pub async fn find_snapshot(&self, name: &str) -> Result<CatalogueEntry, TenantError> {
        todo!()
    }
    /// Names in the catalogue, at most `limit`, after `after`.
    pub async fn snapshots(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, TenantError> {
        todo!()
    }
    /// Fills this (new) tenant from a native snapshot of another tenant of the same namespace: new packs, new
    /// lineage, manifest 1, sealed; nothing is shared. Idempotent; HEAD appears last.
    pub async fn source_copy(
        &self,
        source_tenant: &str,
        snapshot: &str,
        adoption: &Adoption,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Initialized, TenantError> {
        todo!()
    }
    /// Proves ownership, deletes every object, proves the prefix empty. Idempotent; Ok also if there is nothing.
    pub async fn delete_all(&self) -> Result<(), TenantError> {
        todo!()
    }
}
