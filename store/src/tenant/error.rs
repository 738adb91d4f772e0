//! Errors of work on a tenant's prefix.

use crate::bucket::WriteError;
use crate::encryption::KeyError;
use crate::format::ReadError;
use crate::format::tenant::DataSource;
use crate::identity::{BranchName, InvalidName, Owner};
use crate::position::Position;
use crate::public_error::PublicError;
use roost_protocol::problem::ErrorCode;

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
        /// Key of the missing object.
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
    /// The tenant is being restored from a snapshot, and that has not ended.
    #[error("the restore from {0} has not finished")]
    RestoreUnfinished(String),
    /// The prefix holds data of an earlier Tenant that came from something else. Nothing was written.
    #[error(
        "the data at {location} that an earlier Tenant of this name left behind came from {kept}, and this Tenant asks \
         for {asked}{}; to begin anew, choose another name for the Tenant",
        way_to(.kept, .asked)
    )]
    SourceDiffers {
        /// The prefix.
        location: String,
        /// Origin of the data.
        kept: Box<DataSource>,
        /// Origin that the Tenant asks for.
        asked: Box<DataSource>,
    },
    /// The prefix holds data that came from an init script, and the Tenant's own is not known. Nothing was written.
    #[error(
        "the data at {location} came from initScript with the BLAKE3 hash {hash}, and this Tenant's script cannot be compared with it"
    )]
    ScriptUnknown {
        /// The prefix.
        location: String,
        /// The hash of the script that the data came from.
        hash: String,
    },
    /// The tenant that another one is to be filled from has no data.
    #[error("there is no data of a Tenant {0} in this namespace, under the class's bucket and prefix")]
    SourceTenantNotFound(String),
    /// No such branch.
    #[error("branch {0} does not exist")]
    BranchNotFound(BranchName),
    /// The name of a new branch is in use.
    #[error("the branch name {name} is taken{}", holder(.uid.as_deref()))]
    BranchNameTaken {
        /// The name.
        name: BranchName,
        /// Uid of the Branch object that has it; none for `main`.
        uid: Option<String>,
    },
    /// There is a branch of that name that a Branch object of another name left behind. Rights on it are rights on that name.
    #[error(
        "the branch name {name} keeps the data of the Branch object {object}, which was deleted; choose another branchName, or name this object {object} to have that data back"
    )]
    BranchKept {
        /// The name.
        name: BranchName,
        /// Name of the object that it belongs to.
        object: String,
    },
    /// There is a branch of that name that an earlier object left behind, and it began elsewhere.
    #[error(
        "a branch {name} that an earlier Branch object left behind began {}; choose another branchName, or give spec.from as it was",
        beginning(.began.as_deref())
    )]
    BranchDiffers {
        /// The name.
        name: BranchName,
        /// Where it began; none: empty.
        began: Option<Box<Position>>,
    },
    /// The branch has never been published, so there is nothing to copy.
    #[error("branch {0} has no published state yet; connect to it once, then try again")]
    NothingPublished(BranchName),
    /// Nothing that is kept is so old.
    #[error("branch {branch} can be read back to {oldest}, not to {time}; choose a later moment")]
    BeforeHistory {
        /// The branch.
        branch: BranchName,
        /// The moment that was asked for.
        time: jiff::Timestamp,
        /// The oldest moment that can be read.
        oldest: jiff::Timestamp,
    },
    /// The position that was to be copied is no longer kept.
    #[error("the source position (branch {}, manifest {}) is no longer kept", .0.branch, .0.manifest)]
    SourceExpired(Box<Position>),
    /// Another snapshot has this name.
    #[error(
        "there is a snapshot {name} already, of another branch, format or Snapshot object (uid {uid}); choose another name"
    )]
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
        /// Reason why it cannot be one.
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
        /// Number of objects that were left.
        left: usize,
    },
    /// Too many branches of branches.
    #[error("the branch would have more than {0} ancestors; restore a snapshot into a new tenant instead")]
    TooManyAncestors(usize),
    /// A name is not valid.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The tenant's data key cannot be used. Nothing was written.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An object could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Tells how to have the data that was kept. Two snapshots may have had the same name.
fn way_to(kept: &DataSource, asked: &DataSource) -> String {
    match kept {
        DataSource::Snapshot { name, .. } if kept.agrees(asked) => format!(
            ", which has been taken anew since; to have that data, first delete the newer Snapshot {name} with \
             deletionPolicy Delete"
        ),
        kept => format!("; to have that data, delete this Tenant and create it with {}", writing(kept)),
    }
}

/// The spec of a Tenant that gets the data.
fn writing(kept: &DataSource) -> String {
    match kept {
        DataSource::Empty => "no spec.source".into(),
        DataSource::InitScript { .. } => "the initScript that it had".into(),
        DataSource::Snapshot { name, .. } => format!("source: {{snapshot: {{name: {name}}}}}"),
        DataSource::Moment { tenant, time } => {
            format!("source: {{pointInTime: {{tenantName: {tenant}, time: \"{time}\"}}}}")
        }
    }
}

fn holder(uid: Option<&str>) -> String {
    uid.map(|uid| format!(" by the Branch object with uid {uid}")).unwrap_or_default()
}

fn beginning(position: Option<&Position>) -> String {
    position.map_or_else(
        || "empty".to_owned(),
        |position| format!("at branch {}, manifest {}", position.branch, position.manifest),
    )
}

impl PublicError for TenantError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::OwnedElsewhere { .. } | Self::OwnerUnknown { .. } => ErrorCode::DataOwnedElsewhere,
            Self::DataMissing { .. } => ErrorCode::DataMissing,
            Self::Key(_) => ErrorCode::KeyUnavailable,
            Self::Read(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::BeingDeleted { .. }
            | Self::RestoreUnfinished(_)
            | Self::NothingPublished(_)
            | Self::NotEmpty { .. }
            | Self::BranchNotFound(_)
            | Self::BranchNameTaken { .. }
            | Self::BranchKept { .. }
            | Self::BranchDiffers { .. }
            | Self::BeforeHistory { .. }
            | Self::SourceExpired(_)
            | Self::SnapshotNotFound(_)
            | Self::SourceTenantNotFound(_)
            | Self::SourceDiffers { .. }
            | Self::ScriptUnknown { .. }
            | Self::SnapshotExists { .. }
            | Self::SourceUnsupported { .. }
            | Self::TooManyAncestors(_)
            | Self::MainBranch
            | Self::InvalidName(_) => ErrorCode::TenantNotReady,
        }
    }
}
