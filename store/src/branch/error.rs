//! Errors of work on a branch.

use crate::bucket::WriteError;
use crate::encryption::KeyError;
use crate::format::ReadError;
use crate::identity::{BranchName, DatabaseId, Holder, Owner};
use crate::local::LocalError;
use crate::public_error::PublicError;
use roost_protocol::problem::ErrorCode;

/// Taking a branch over failed. Nothing serves; HEAD may carry our epoch if the answer was lost.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// HEAD is not sealed: its holder still works, or died.
    #[error("branch {branch} is held by {} and not sealed; wait for its seal", .holder.as_ref().map_or("nobody", |h| &h.name))]
    NotSealed {
        /// The branch.
        branch: BranchName,
        /// Its holder.
        holder: Option<Holder>,
    },
    /// Someone else took the branch over meanwhile.
    #[error("branch {branch} was taken over by {} in epoch {epoch}", .holder.as_ref().map_or("someone", |h| &h.name))]
    Lost {
        /// The branch.
        branch: BranchName,
        /// The newer epoch.
        epoch: u64,
        /// Its holder.
        holder: Option<Holder>,
    },
    /// The branch has no HEAD.
    #[error("branch {0} does not exist")]
    NotFound(BranchName),
    /// The prefix belongs to another owner.
    #[error("the data belongs to {0}")]
    OwnedElsewhere(Owner),
    /// The tenant is encrypted and no key was given, or the other way round.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// HEAD could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl PublicError for TakeOverError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotSealed { .. } => ErrorCode::NotSealed,
            Self::Lost { .. } => ErrorCode::Fenced,
            Self::NotFound(_) => ErrorCode::DataMissing,
            Self::OwnedElsewhere(_) => ErrorCode::DataOwnedElsewhere,
            Self::Key(_) => ErrorCode::KeyUnavailable,
            Self::Read(error) => error.code(),
            Self::Write(error) => error.code(),
        }
    }
}

/// Use of trying a publish again that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishRetry {
    /// The next try may succeed.
    AtOnce,
    /// Somebody has to change something first: rights, the bucket, what is in it.
    Later,
    /// This owner of the branch has ended, and its process must.
    Never,
}

/// A publish or seal failed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Another epoch owns the branch, or it is gone. Stop answering and exit.
    #[error("branch {branch} is no longer ours: {found}")]
    Fenced {
        /// The branch.
        branch: BranchName,
        /// HEAD as it was found, in words.
        found: String,
    },
    /// Nobody knows whether HEAD names this publish. The process must exit.
    #[error("it is not known whether the publish took effect ({0}); this process must exit")]
    Undecided(String),
    /// An earlier call ended fenced, undecided or sealed; this owner can do nothing any more.
    #[error("this owner of the branch has ended: {0}")]
    Ended(&'static str),
    /// The file is not the one that was opened.
    #[error("the local database has id {found}, the published one {expected}; the publish is refused")]
    ForeignDatabase {
        /// The manifest's id.
        expected: DatabaseId,
        /// The local file's.
        found: DatabaseId,
    },
    /// The file is larger than a manifest can address, or a history is too deep.
    #[error("the database cannot be published: {0}")]
    TooLarge(String),
    /// The local database failed; its dirty set is as before.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// An upload failed. The dirty set was given back; nothing changed for readers.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A read failed. The dirty set was given back.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl PublicError for PublishError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Fenced { .. } => ErrorCode::Fenced,
            Self::Undecided(_) => ErrorCode::StorageUnreachable,
            Self::Ended(_) => ErrorCode::NotServing,
            Self::Read(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::Local(error) if error.may_retry => ErrorCode::Busy,
            Self::TooLarge(_) | Self::ForeignDatabase { .. } | Self::Local(_) => ErrorCode::Internal,
        }
    }
}

impl PublishError {
    /// Whether trying again may help.
    pub fn retry(&self) -> PublishRetry {
        match self {
            Self::Fenced { .. } | Self::Undecided(_) | Self::Ended(_) | Self::ForeignDatabase { .. } => {
                PublishRetry::Never
            }
            Self::Local(error) if error.may_retry => PublishRetry::AtOnce,
            Self::Local(_) => PublishRetry::Never,
            // Nothing that a publish writes before HEAD can be taken by someone else or stay in doubt for
            // readers: each attempt has names of its own.
            Self::Write(WriteError::Undecided { .. } | WriteError::Other { .. }) => PublishRetry::AtOnce,
            Self::Write(WriteError::Refused(error) | WriteError::Read(ReadError::Object(error)))
            | Self::Read(ReadError::Object(error))
                if error.may_pass() =>
            {
                PublishRetry::AtOnce
            }
            Self::TooLarge(_) | Self::Write(_) | Self::Read(_) => PublishRetry::Later,
        }
    }
}

/// A segment could not be shipped. The process must stop answering and exit.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// Another epoch owns the branch.
    #[error("branch {branch} is no longer ours: {found} is at the next place of its stream")]
    Fenced {
        /// The branch.
        branch: BranchName,
        /// The object that was found there, in words.
        found: String,
    },
    /// An earlier call ended this owner.
    #[error("this owner of the branch has ended: {0}")]
    Ended(&'static str),
    /// The local database failed, or its WAL does not continue the stream.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The object at the segment's place cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Ownership could not be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Another epoch owns the branch, or it is gone. Stop answering and exit.
    #[error("branch {branch} is no longer ours: {found}")]
    Fenced {
        /// The branch.
        branch: BranchName,
        /// HEAD as it was found, in words.
        found: String,
    },
    /// An earlier call ended this owner.
    #[error("this owner of the branch has ended: {0}")]
    Ended(&'static str),
    /// HEAD could not be read now.
    #[error(transparent)]
    Read(#[from] ReadError),
}
