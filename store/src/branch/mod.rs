//! One branch: take over, hydrate, publish, seal, prove; and reading a pinned position.

use std::path::Path;
use std::time::Duration;

use crate::advice::Advice;
use crate::bucket::WriteError;
use crate::format::ReadError;
use crate::format::head::Head;
use crate::format::manifest::Manifest;
use crate::identity::{BranchName, DatabaseId, Holder, Owner};
use crate::local::{LocalDatabase, LocalError};
use crate::position::Position;
use crate::tenant::Progress;

/// What is known of the branch's previous holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// Nothing: take over only a sealed HEAD.
    OnlySealed,
    /// It is proven gone: take over also an unsealed HEAD, at its last manifest.
    PreviousGone,
}

/// Taking a branch over failed. Nothing serves; HEAD may carry our epoch if the answer was lost.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// HEAD is not sealed: its holder still works, or died.
    #[error("branch {branch} is held by {} and not sealed; wait for its seal", .holder.as_ref().map_or("nobody", |h| &h.name))]
    NotSealed {
        /// The branch.
        branch: BranchName,
        /// Who holds it.
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
    /// The branch is being deleted.
    #[error("branch {0} is being deleted")]
    BeingDeleted(BranchName),
    /// The prefix belongs to another owner.
    #[error("the data belongs to {0}")]
    OwnedElsewhere(Owner),
    /// An object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// HEAD could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl TakeOverError {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::NotSealed { .. } => Advice::Retry,
            Self::Lost { .. } | Self::NotFound(_) | Self::BeingDeleted(_) => Advice::GiveUp,
            Self::OwnedElsewhere(_) => Advice::AskOperator,
            Self::Read(error) => error.advice(),
            Self::Write(error) => error.advice(),
        }
    }
}

/// Building the local file failed. No partial file is left.
#[derive(Debug, thiserror::Error)]
pub enum HydrateError {
    /// An object could not be read, or is not what it should be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The local disk.
    #[error("the file {path} cannot be built: {message}")]
    Local {
        /// The file.
        path: String,
        /// The system's words.
        message: String,
    },
    /// The pin of a position that is read is gone or keeps something else.
    #[error("the position to read is not pinned: {0}")]
    NotPinned(String),
}

impl HydrateError {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Read(error) => error.advice(),
            Self::Local { .. } => Advice::Retry,
            Self::NotPinned(_) => Advice::GiveUp,
        }
    }
}

/// A publish or seal failed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Another epoch owns the branch, or it is gone. Stop answering and exit.
    #[error("branch {branch} is no longer ours: {found}")]
    Fenced {
        /// The branch.
        branch: BranchName,
        /// What HEAD says.
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
    /// The local database; its dirty set is as before.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// An upload failed. The dirty set was given back; nothing changed for readers.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A read failed. The dirty set was given back.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl PublishError {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Fenced { .. } | Self::Undecided(_) | Self::Ended(_) | Self::ForeignDatabase { .. } => {
                Advice::GiveUp
            }
            Self::TooLarge(_) => Advice::AskOperator,
            Self::Local(error) if error.may_retry => Advice::Retry,
            Self::Local(_) => Advice::GiveUp,
            // Nothing that a publish writes before HEAD can be taken by someone else or stay in doubt for
            // readers: each attempt has names of its own.
            Self::Write(WriteError::Undecided { .. } | WriteError::Other { .. }) => Advice::Retry,
            Self::Write(error) => error.advice(),
            Self::Read(error) => error.advice(),
        }
    }
}

/// Ownership could not be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Another epoch owns the branch, or it is gone. Stop answering and exit.
    #[error("branch {branch} is no longer ours: {found}")]
    Fenced {
        /// The branch.
        branch: BranchName,
        /// What HEAD says.
        found: String,
    },
    /// An earlier call ended this owner.
    #[error("this owner of the branch has ended: {0}")]
    Ended(&'static str),
    /// HEAD could not be read now.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ProveError {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Fenced { .. } | Self::Ended(_) => Advice::GiveUp,
            Self::Read(error) => error.advice(),
        }
    }
}

/// Evidence that HEAD still named this owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proof {
    /// [`crate::environment::Clock::monotonic`] when the question was sent: what the proof counts from.
    pub sent: Duration,
}

/// Bounds of a hydration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hydration {
    /// Range GETs under way at a time; each holds at most [`MAX_RANGE_BYTES`] stored and as much again restored.
    pub parallelism: usize,
}

impl Default for Hydration {
    fn default() -> Self {
        Self { parallelism: 8 }
    }
}

/// Most bytes of one range GET.
pub const MAX_RANGE_BYTES: u64 = 4 * 1024 * 1024;

/// What a hydration built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hydrated {
    /// The branch was never published: no file was made.
    Empty,
    /// The file holds exactly this position's state.
    Restored {
        /// The position.
        position: Position,
        /// Size of the file in bytes.
        file_size: u64,
        /// DuckDB's id of the file.
        database_id: DatabaseId,
        /// Version of the engine that wrote it.
        engine_version: String,
        /// Its storage version.
        storage_version: String,
        /// Time of the last commit in it.
        last_commit: Option<jiff::Timestamp>,
    },
}

/// What a publish did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The position that HEAD names now; none if the branch has never been published.
    pub position: Option<Position>,
    /// Chunks read from the local file.
    pub read_chunks: u64,
    /// Chunks of them that differed and were uploaded.
    pub uploaded_chunks: u64,
    /// Bytes uploaded, all objects.
    pub bytes: u64,
    /// Size of the database file in bytes.
    pub file_size: u64,
    /// Time of the last commit in the position.
    pub last_commit: Option<jiff::Timestamp>,
    /// Whether a new manifest was written (false: nothing had changed).
    pub changed: bool,
}

/// One branch of a tenant.
#[derive(Debug, Clone)]
pub struct BranchStore {}

#[allow(clippy::unused_async, unused_variables)]
impl BranchStore {
    /// HEAD as it is now.
    pub async fn head(&self) -> Result<Head, TakeOverError> {
        todo!()
    }
    /// Takes the branch over: HEAD {epoch + 1, holder}. Checks that the prefix has this owner.
    pub async fn take_over(&self, holder: &Holder, takeover: Takeover) -> Result<OwnedBranch, TakeOverError> {
        todo!()
    }
    /// Opens a pinned position read-only; HEAD is not touched. `pin` is the pin's key.
    pub async fn open_position(
        &self,
        position: &Position,
        pin: &str,
    ) -> Result<ReadablePosition, HydrateError> {
        todo!()
    }
}

/// A position that a pin keeps readable.
#[derive(Debug)]
pub struct ReadablePosition {}

#[allow(clippy::unused_async, unused_variables)]
impl ReadablePosition {
    /// What the position is.
    pub fn manifest(&self) -> &Manifest {
        todo!()
    }
    /// Builds the file at `path`, which must not exist. See [`OwnedBranch::hydrate`].
    pub async fn hydrate(
        &self,
        path: &Path,
        hydration: Hydration,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Hydrated, HydrateError> {
        todo!()
    }
}

/// A branch that this process took over: the right to publish it until another epoch appears. Share it by `Arc`.
#[derive(Debug)]
pub struct OwnedBranch {}

#[allow(clippy::unused_async, unused_variables)]
impl OwnedBranch {
    /// Builds the branch's file at `path`, which must not exist: parallel range GETs, every chunk's hash
    /// checked, bounded memory. On an error no file is left.
    pub async fn hydrate(
        &self,
        path: &Path,
        hydration: Hydration,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Hydrated, HydrateError> {
        todo!()
    }
    /// Freezes the database and makes its state the branch's: packs, pages, manifest, then HEAD. One at a
    /// time; others wait. On [`Advice::GiveUp`] the process must stop answering and exit.
    pub async fn publish(&self, local: &dyn LocalDatabase) -> Result<Published, PublishError> {
        todo!()
    }
    /// The last publish, with HEAD sealed in the same write. Nothing can follow it.
    pub async fn seal(&self, local: &dyn LocalDatabase) -> Result<Published, PublishError> {
        todo!()
    }
    /// Seals HEAD at its last publish; whatever the local database holds beyond it is dropped. For an owner
    /// that never served (a failed start, a failed initial script).
    pub async fn relinquish(&self) -> Result<(), PublishError> {
        todo!()
    }
    /// Reads HEAD again (If-None-Match) and checks that it is still ours. May run beside a publish.
    pub async fn prove(&self) -> Result<Proof, ProveError> {
        todo!()
    }
    /// When the takeover's own HEAD write was sent: the first proof.
    pub fn first_proof(&self) -> Proof {
        todo!()
    }
    /// The position that HEAD names (a published one, or the source of a new branch); none if empty.
    pub fn position(&self) -> Option<Position> {
        todo!()
    }
    /// HEAD as this owner last knew it.
    pub fn head(&self) -> Head {
        todo!()
    }
    /// This owner's epoch.
    pub fn epoch(&self) -> u64 {
        todo!()
    }
    /// Whether the branch was ever published, or starts from a source: there is a file to hydrate.
    pub fn has_data(&self) -> bool {
        todo!()
    }
}
