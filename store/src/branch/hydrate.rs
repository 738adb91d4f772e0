//! The local file of a position: opened to be filled as it is read, or built as a whole.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::{LoadedState, LoadedWal};
use super::{HydrateError, Hydrated, Hydration};
use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::keys::Keys;
use crate::pager::{Base, Pager, Unfinished};
use crate::tenant::Progress;

/// Most stored bytes of one range GET.
pub const MAX_RANGE_BYTES: u64 = 4 * 1024 * 1024;

/// A database file that comes from the bucket as it is read, with its WAL beside it.
#[derive(Debug)]
pub struct OpenedFile {
    /// The file.
    pub pager: Arc<Pager>,
    /// What it is.
    pub content: Hydrated,
}

/// Makes the sparse file and its WAL, with what opening reads.
pub(super) async fn open(
    bucket: &Bucket,
    keys: &Keys,
    (base, state): (Base, Option<&LoadedState>),
    path: &Path,
    cache_bytes: u64,
) -> Result<OpenedFile, HydrateError> {
    let (pager, unfinished) = create(bucket, keys, base, path, cache_bytes)?;
    pager.boot().await?;
    let content = match state {
        Some(state) => restored(state, write_wal(bucket, state, path).await?),
        None => Hydrated::Empty,
    };
    unfinished.finished();
    Ok(OpenedFile { pager: Arc::new(pager), content })
}

/// Builds the whole file and its WAL.
pub(super) async fn build(
    bucket: &Bucket,
    keys: &Keys,
    state: &Arc<LoadedState>,
    path: &Path,
    hydration: Hydration,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Hydrated, HydrateError> {
    let base = Base::Position(Arc::clone(state));
    let (pager, unfinished) = create(bucket, keys, base, path, u64::MAX)?;
    pager.fill(hydration.parallelism, progress).await?;
    let wal = write_wal(bucket, state, path).await?;
    unfinished.finished();
    Ok(restored(state, wal))
}

fn create(
    bucket: &Bucket,
    keys: &Keys,
    base: Base,
    path: &Path,
    cache_bytes: u64,
) -> Result<(Pager, Unfinished), HydrateError> {
    Pager::create(bucket, keys, base, path, cache_bytes).map_err(|error| HydrateError::local(path, &error))
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
