//! All of a position's file, for tests that look at every byte of it.

use std::path::Path;
use std::sync::Arc;

use roost_store::{HydrateError, Hydrated, OpenedFile, OwnedBranch, ReadablePosition};

/// Makes the file of what `owned` has, whole, with its WAL beside it. No file is left on an error, nor for a branch that
/// was never published.
pub async fn whole(owned: &Arc<OwnedBranch>, file: &Path) -> Result<Hydrated, HydrateError> {
    fill(owned.open(file, u64::MAX).await?, file).await
}

/// The same of a position that does not change.
pub async fn whole_of(position: &ReadablePosition, file: &Path) -> Result<Hydrated, HydrateError> {
    fill(position.open(file, u64::MAX).await?, file).await
}

async fn fill(opened: OpenedFile, file: &Path) -> Result<Hydrated, HydrateError> {
    let filled = opened.pager.fault(0, opened.pager.size().unwrap()).await;
    if filled.is_err() || opened.content == Hydrated::Empty {
        std::fs::remove_file(file).unwrap();
    }
    filled.map(|()| opened.content)
}
