//! One branch: take over, hydrate, publish, seal, prove; and reading a pinned position.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::bucket::Bucket;
use crate::chunk::chunk_range;
use crate::format::head::Head;
use crate::format::manifest::Manifest;
use crate::format::pin::Pin;
use crate::format::tenant::TenantRecord;
use crate::identity::{BranchName, DatabaseId, Owner};
use crate::keys::Keys;
use crate::local::{LocalDatabase, LocalError};
use crate::object::ObjectError;
use crate::pager::Base;
use crate::position::{DatedPosition, Position};
use crate::step::stepped;
use crate::tenant::Progress;

mod error;
mod hydrate;
mod owned;
pub(crate) mod pages;
mod publish;
pub(crate) mod read;
mod ship;
mod take_over;
pub(crate) mod upload;

pub use error::{HydrateError, ProveError, PublishError, ShipError, TakeOverError};
pub use hydrate::{MAX_RANGE_BYTES, OpenedFile};
pub use owned::OwnedBranch;

/// What is known of the branch's previous holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// Nothing: take over only a sealed HEAD.
    OnlySealed,
    /// It is proven gone: take over also an unsealed HEAD, at its last manifest.
    PreviousGone,
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
    /// Range GETs under way at a time; each holds at most [`MAX_RANGE_BYTES`] of stored bytes, and one restored chunk.
    pub parallelism: usize,
}

impl Default for Hydration {
    fn default() -> Self {
        Self { parallelism: 8 }
    }
}

/// Chunks read from the local file at a time.
const READS_IN_FLIGHT: usize = 4;

/// Reads a chunk of a file of `file_size` bytes.
async fn read_chunk(
    local: &dyn LocalDatabase,
    index: u64,
    file_size: u64,
) -> Result<(u64, Bytes), LocalError> {
    let range = chunk_range(index, file_size);
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let raw = stepped("read chunk", index, local.read_chunk(index, length)).await?;
    if raw.len() != length {
        return Err(LocalError::lasting(format!("chunk {index} has {} bytes, expected {length}", raw.len())));
    }
    Ok((index, raw))
}

/// What a hydration built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Hydrated {
    /// The branch was never published: no file was made.
    Empty,
    /// The file holds exactly this position's state.
    Restored {
        /// The position.
        position: Position,
        /// Size of the file in bytes.
        file_size: u64,
        /// Bytes of WAL beside it, at its path with `.wal` appended; no file is made for none. They must be replayed,
        /// checkpointed and published before anything else is written.
        wal: u64,
        /// DuckDB's id of the file.
        database_id: DatabaseId,
        /// Version of the engine that wrote it.
        engine_version: String,
        /// Its storage version.
        storage_version: String,
        /// Time of the last commit in it.
        last_commit: Option<jiff::Timestamp>,
        /// Time of the last commit in its manifest, before any WAL; when that was written if there is none.
        published: jiff::Timestamp,
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
    /// Bytes uploaded: packs, pages and manifest.
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
pub struct BranchStore {
    pub(crate) bucket: Bucket,
    pub(crate) keys: Keys,
    pub(crate) owner: Owner,
    pub(crate) name: BranchName,
}

impl BranchStore {
    /// HEAD as it is now.
    pub async fn head(&self) -> Result<Head, TakeOverError> {
        match self.bucket.find::<Head>(&self.keys.head(&self.name)).await? {
            Some((head, _)) => Ok(head),
            None => Err(TakeOverError::NotFound(self.name.clone())),
        }
    }

    /// Opens a pinned position read-only; HEAD is not touched. `pin` is the pin's key, relative to the tenant's
    /// prefix, and must keep exactly this position.
    pub async fn open_position(
        &self,
        position: &Position,
        pin: &str,
    ) -> Result<ReadablePosition, HydrateError> {
        let key = self.keys.relative(pin);
        match self.bucket.find::<Pin>(&key).await? {
            Some((pin, _)) if pin.position == *position => {}
            Some(_) => return Err(HydrateError::NotPinned(format!("{key} keeps another position"))),
            None => return Err(HydrateError::NotPinned(ObjectError::NotFound { key }.to_string())),
        }
        let (tenant, _) = self.bucket.read::<TenantRecord>(&self.keys.tenant()).await?;
        self.bucket.codec.check_tenant(tenant.data_key.is_some())?;
        let state = read::load(&self.bucket, &self.keys, position).await?;
        Ok(ReadablePosition {
            bucket: self.bucket.clone(),
            keys: self.keys.clone(),
            state: Arc::new(state),
            former_names: tenant.former_names,
        })
    }
}

/// A position that a pin keeps readable.
#[derive(Debug)]
pub struct ReadablePosition {
    bucket: Bucket,
    keys: Keys,
    state: Arc<read::LoadedState>,
    former_names: Vec<String>,
}

impl ReadablePosition {
    /// Names of the tenants that the data was copied from.
    pub fn former_names(&self) -> &[String] {
        &self.former_names
    }

    /// What the position is.
    pub fn manifest(&self) -> &Manifest {
        &self.state.manifest
    }

    /// Every commit boundary in it: the manifest alone, then each commit of the WAL.
    pub fn commits(&self) -> Vec<DatedPosition> {
        self.state.commits()
    }

    /// An earlier boundary, one of [`Self::commits`]: the same pin keeps it.
    #[must_use]
    pub fn until(&self, commit: &Position) -> Self {
        let state = Arc::new(self.state.until(commit.sequence, commit.offset));
        let (bucket, keys) = (self.bucket.clone(), self.keys.clone());
        Self { bucket, keys, state, former_names: self.former_names.clone() }
    }

    /// Builds the file at `path`, which must not exist. See [`OwnedBranch::hydrate`].
    pub async fn hydrate(
        &self,
        path: &Path,
        hydration: Hydration,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Hydrated, HydrateError> {
        hydrate::build(&self.bucket, &self.keys, &self.state, path, hydration, progress).await
    }

    /// Makes the file at `path` as a cache that is filled as it is read. See [`OwnedBranch::open`].
    pub async fn open(&self, path: &Path, cache_bytes: u64) -> Result<OpenedFile, HydrateError> {
        let base = Base::Position(Arc::clone(&self.state));
        hydrate::open(&self.bucket, &self.keys, (base, Some(&self.state)), path, cache_bytes).await
    }
}
