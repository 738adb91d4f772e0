//! The local file of a position, which is filled as it is read.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::identity::DatabaseId;
use crate::keys::Keys;
use crate::pager::{Base, HydrateError, Pager, Unfinished};
use crate::position::Position;
use crate::state::{LoadedState, LoadedWal};

/// State of a branch's local file, as it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Hydrated {
    /// The branch was never published: the file is empty.
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

/// A position that does not change, as what a file comes from.
#[derive(Debug)]
pub(super) struct Fixed(pub(super) Arc<LoadedState>);

impl Base for Fixed {
    fn state(&self) -> Option<Arc<LoadedState>> {
        Some(Arc::clone(&self.0))
    }
}

/// A database file that comes from the bucket as it is read, with its WAL beside it.
#[derive(Debug)]
pub struct OpenedFile {
    /// The file.
    pub pager: Arc<Pager>,
    /// Its state when it was opened.
    pub content: Hydrated,
}

/// Makes the sparse file and its WAL, with what opening reads.
pub(super) async fn open(
    bucket: &Bucket,
    keys: &Keys,
    (base, state): (Arc<dyn Base>, Option<&LoadedState>),
    path: &Path,
    cache_bytes: u64,
) -> Result<OpenedFile, HydrateError> {
    let (pager, unfinished) = Pager::create(bucket, keys, base, path, cache_bytes)
        .map_err(|error| HydrateError::local(path, &error))?;
    pager.boot().await?;
    let content = match state {
        Some(state) => restored(state, write_wal(bucket, state, path).await?),
        None => Hydrated::Empty,
    };
    unfinished.finished();
    Ok(OpenedFile { pager: Arc::new(pager), content })
}

fn restored(state: &LoadedState, wal: u64) -> Hydrated {
    Hydrated::Restored {
        position: state.position(),
        file_size: state.file_size(),
        wal,
        database_id: state.manifest.database_id,
        engine_version: state.manifest.engine_version.clone(),
        storage_version: state.manifest.storage_version.clone(),
        last_commit: state.last_commit(),
        published: state.manifest.last_commit.unwrap_or(state.manifest.written),
    }
}

/// Writes the position's WAL beside its file; returns its length.
async fn write_wal(bucket: &Bucket, state: &LoadedState, path: &Path) -> Result<u64, HydrateError> {
    let Some(LoadedWal { stream, offset, .. }) = state.wal.clone().filter(|wal| wal.offset > 0) else {
        return Ok(0);
    };
    let (codec, keys) = (bucket.codec.clone(), state.pages.keys().clone());
    let mut target = path.as_os_str().to_owned();
    target.push(".wal");
    let target = PathBuf::from(target);
    let work = move || {
        let local = |error: std::io::Error| HydrateError::local(&target, &error);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&target).map_err(local)?;
        let unfinished = Unfinished::new(&target);
        for segment in &stream.segments {
            let key = keys.slot(&segment.branch, &segment.stream, segment.sequence);
            file.write_all(&segment.wal(&codec, offset).map_err(ReadError::content(&key))?).map_err(local)?;
        }
        unfinished.finished();
        Ok(offset)
    };
    bucket.environment.compute(work).await
}
