//! The pages of one manifest, each read when it is first asked for: opening costs the same whatever the size.

use std::fmt;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::manifest::{page_length, wrong_lineage};
use crate::bucket::Bucket;
use crate::format::manifest::Manifest;
use crate::format::page::{self, MAX_PAGE_BYTES, Page};
use crate::format::{FormatError, ReadError};
use crate::keys::Keys;

/// A page, read or not; manifests share it that have it in common.
type PageCell = Arc<OnceCell<Page>>;

/// The pages of a manifest, by their number.
#[derive(Clone)]
pub(crate) struct Pages {
    bucket: Bucket,
    keys: Keys,
    cells: Vec<PageCell>,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.cells.iter().filter(|cell| cell.initialized()).count();
        f.debug_struct("Pages").field("count", &self.cells.len()).field("read", &read).finish_non_exhaustive()
    }
}

impl Pages {
    /// Pages of which none was read yet.
    pub(crate) fn unread(bucket: &Bucket, keys: &Keys, count: usize) -> Self {
        let cells = (0..count).map(|_| Arc::default()).collect();
        Self { bucket: bucket.clone(), keys: keys.clone(), cells }
    }

    /// Pages that were made, and unchanged ones of another manifest.
    pub(crate) fn made(bucket: &Bucket, keys: &Keys, cells: Vec<PageCell>) -> Self {
        Self { bucket: bucket.clone(), keys: keys.clone(), cells }
    }

    /// The page of this number, which `manifest` names. An error also if the manifest has none of that number.
    pub(crate) async fn get(&self, manifest: &Manifest, number: usize) -> Result<&Page, ReadError> {
        let Some(cell) = self.cells.get(number) else {
            let why = format!("it has no page {number}");
            return Err(ReadError::Mismatch { key: self.keys.manifest(&manifest.position()), why });
        };
        cell.get_or_try_init(|| load_page(&self.bucket, &self.keys, manifest, number)).await
    }

    /// The place of a page, read or not; for a manifest that goes on with it.
    pub(crate) fn cell(&self, number: usize) -> Option<PageCell> {
        self.cells.get(number).cloned()
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }
}

/// Reads and checks a page of a manifest.
pub(crate) async fn load_page(
    bucket: &Bucket,
    keys: &Keys,
    manifest: &Manifest,
    index: usize,
) -> Result<Page, ReadError> {
    let reference = &manifest.pages[index];
    let key = keys.page(&reference.name);
    if !manifest.lineages.contains(&reference.name.lineage) {
        return Err(wrong_lineage(key, reference.name.lineage, &manifest.lineages));
    }
    let object = bucket.get(&key, MAX_PAGE_BYTES).await?;
    if blake3::hash(&object.bytes).to_hex().as_str() != reference.hash {
        let cause = FormatError::Damaged("its hash is not the one in the manifest".into());
        return Err(ReadError::Content { key, cause });
    }
    let page = page::decode(&object.bytes).map_err(ReadError::content(&key))?;
    let expected = page_length(manifest, index as u64);
    if page.name != reference.name || page.index != index as u64 || page.chunks.len() as u64 != expected {
        let why = format!("it is page {} of {} chunks named {}", page.index, page.chunks.len(), page.name);
        return Err(ReadError::Mismatch { key, why });
    }
    if let Some(foreign) = page.packs.iter().find(|pack| !manifest.lineages.contains(&pack.lineage)) {
        return Err(wrong_lineage(keys.pack(foreign), foreign.lineage, &manifest.lineages));
    }
    Ok(page)
}
