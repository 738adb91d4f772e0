//! A position in a copy of this process's own: replayed, checkpointed there, and read. It touches no HEAD.

use crate::{
    durability::replay_failure,
    files::{Access, LocalFiles},
    problems,
    serving::opening::{EngineSetup, Folders, open_engine},
};
use roost_engine::Engine;
use roost_protocol::problem::{ErrorCode, Problem};
use roost_store::{Environment, Hydrated, ReadablePosition, stream::Tail};
use std::{path::PathBuf, time::Duration};

/// The engine over a position. `export` is the folder that it may write to.
///
/// DuckDB cannot replay every WAL into a file that it may not write, nor export all that it has only replayed. So a
/// position with WAL is opened as whoever takes the branch over opens it, and checkpointed.
/// Errors: those of [`open_engine`], `storage-unreachable`, `storage-denied`.
pub async fn open(
    readable: &ReadablePosition,
    setup: &EngineSetup,
    folders: Folders,
    export: Option<PathBuf>,
    environment: Environment,
) -> Result<(Engine, LocalFiles), Problem> {
    let opened = readable.open(&folders.main, setup.cache_bytes()).await;
    let file = opened.map_err(|error| problems::of_store(&error))?;
    let (manifest, wal) = match &file.content {
        Hydrated::Restored { position, wal, .. } => (position.manifest, *wal),
        Hydrated::Empty => (0, 0),
    };
    let access = if wal > 0 { Access::ReadWrite } else { Access::ReadOnly };
    let tail = Tail::after(manifest, wal, None);
    let named = (setup, readable.former_names());
    let (engine, files) =
        open_engine(named, folders, (file.pager, access, tail), export, environment).await?;
    if wal > 0 {
        checkpoint(&engine, &files).await?;
    }
    Ok((engine, files))
}

/// Puts what was replayed into the copy of the file.
async fn checkpoint(engine: &Engine, files: &LocalFiles) -> Result<(), Problem> {
    let failed = |error: String| {
        let detail = format!("the position was replayed, but not checkpointed: {error}");
        files.damage().found().cloned().unwrap_or_else(|| Problem::new(ErrorCode::EngineFailed, detail))
    };
    let gate = engine.close_gate(Duration::ZERO).await.map_err(|error| failed(error.to_string()))?;
    let _window = files.checkpoint().map_err(|error| failed(error.to_string()))?;
    engine.checkpoint(&gate).await.map_err(|error| {
        if replay_failure::is_about_data(&error) && !files.have_failed() {
            return replay_failure::problem(&error.to_string());
        }
        failed(error.to_string())
    })
}
