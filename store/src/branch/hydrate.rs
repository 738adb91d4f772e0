//! Building the local file of a position.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::read::{self, LoadedState, LoadedWal, Run};
use super::{HydrateError, Hydrated, Hydration};
use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::keys::Keys;
use crate::tenant::Progress;

/// Most stored bytes of one range GET.
pub const MAX_RANGE_BYTES: u64 = 4 * 1024 * 1024;

/// Removes the file again unless it was finished.
struct Unfinished {
    path: Option<PathBuf>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a partly built file could not be removed");
        }
    }
}

pub(super) async fn build(
    bucket: &Bucket,
    keys: &Keys,
    state: &LoadedState,
    path: &Path,
    hydration: Hydration,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Hydrated, HydrateError> {
    let (manifest, file_size) = (&state.manifest, state.file_size());
    let (file, mut unfinished) = create(bucket, path, file_size).await?;
    let file = Arc::new(file);
    let mut done = Progress { chunks_done: 0, chunks_total: state.chunks_stored().len(), bytes_done: 0 };
    progress(done);
    for chunk in read::inline_chunks(keys, state) {
        let (place, raw) = chunk?;
        done.chunks_done += 1;
        done.bytes_done += raw.len() as u64;
        file.write_all_at(&raw, place.start).map_err(|error| local(path, &error))?;
    }
    let mut writes = stream::iter(read::plan_runs(state))
        .map(|run| write_run(bucket, keys, run, file.clone(), path))
        .buffer_unordered(hydration.parallelism.max(1));
    while let Some((chunks, bytes)) = writes.try_next().await? {
        done.chunks_done += chunks;
        done.bytes_done += bytes;
        progress(done);
    }
    if done.chunks_done != done.chunks_total {
        let message = format!("{} of {} chunks were found", done.chunks_done, done.chunks_total);
        return Err(HydrateError::Local { path: path.display().to_string(), message });
    }
    let wal = write_wal(bucket, state, path).await?;
    unfinished.path = None;
    Ok(Hydrated::Restored {
        position: state.position(),
        file_size,
        wal,
        database_id: manifest.database_id,
        engine_version: manifest.engine_version.clone(),
        storage_version: manifest.storage_version.clone(),
        last_commit: state.last_commit(),
    })
}

async fn create(bucket: &Bucket, path: &Path, size: u64) -> Result<(File, Unfinished), HydrateError> {
    let target = path.to_owned();
    let made = bucket.environment.compute(move || {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&target)?;
        let unfinished = Unfinished { path: Some(target) };
        file.set_len(size)?;
        Ok((file, unfinished))
    });
    made.await.map_err(|error| local(path, &error))
}

/// Writes the position's WAL beside its file; returns its length.
async fn write_wal(bucket: &Bucket, state: &LoadedState, path: &Path) -> Result<u64, HydrateError> {
    let Some(LoadedWal { stream, offset }) = state.wal.clone().filter(|wal| wal.offset > 0) else {
        return Ok(0);
    };
    let mut target = path.as_os_str().to_owned();
    target.push(".wal");
    let target = PathBuf::from(target);
    let made = bucket.environment.compute({
        let target = target.clone();
        move || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&target)?;
            let mut unfinished = Unfinished { path: Some(target) };
            for bytes in stream.wal(offset) {
                file.write_all(bytes)?;
            }
            unfinished.path = None;
            Ok(offset)
        }
    });
    made.await.map_err(|error| local(&target, &error))
}

async fn write_run(
    bucket: &Bucket,
    keys: &Keys,
    run: Run,
    file: Arc<File>,
    path: &Path,
) -> Result<(u64, u64), HydrateError> {
    enum Failed {
        Read(ReadError),
        Write(std::io::Error),
    }
    let fetched = read::fetch(bucket, keys, run).await?;
    let written = bucket.environment.compute(move || {
        let (mut chunks, mut bytes) = (0, 0);
        for chunk in fetched.chunks() {
            let (place, _, raw) = chunk.map_err(Failed::Read)?;
            file.write_all_at(&raw, place.start).map_err(Failed::Write)?;
            chunks += 1;
            bytes += raw.len() as u64;
        }
        Ok((chunks, bytes))
    });
    written.await.map_err(|failed| match failed {
        Failed::Read(error) => error.into(),
        Failed::Write(error) => local(path, &error),
    })
}

fn local(path: &Path, error: &std::io::Error) -> HydrateError {
    HydrateError::Local { path: path.display().to_string(), message: error.to_string() }
}
