//! Reading a position: its manifest, its pages, and its chunks in runs of neighbours.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::MAX_RANGE_BYTES;
use crate::bucket::Bucket;
use crate::chunk::{chunk_count, chunk_range};
use crate::format::manifest::Manifest;
use crate::format::page::{self, CHUNKS_PER_PAGE, ChunkEntry, MAX_PAGE_BYTES, ObjectName, Page};
use crate::format::{FormatError, ReadError, pack};
use crate::identity::Lineage;
use crate::keys::Keys;
use crate::object::MAX_KEY_BYTES;
use crate::position::Position;

/// Pages fetched at a time.
const PAGES_IN_FLIGHT: usize = 8;

/// Everything that says where a position's bytes are.
#[derive(Debug, Clone)]
pub(crate) struct LoadedState {
    pub(crate) manifest: Manifest,
    pub(crate) pages: Vec<Arc<Page>>,
}

impl LoadedState {
    /// The entry of a chunk and the pack that holds it; none beyond the file.
    pub(crate) fn chunk(&self, index: u64) -> Option<(&ObjectName, &ChunkEntry)> {
        let page = self.pages.get(usize::try_from(index / CHUNKS_PER_PAGE).ok()?)?;
        let entry = page.chunks.get(usize::try_from(index % CHUNKS_PER_PAGE).ok()?)?;
        Some((page.packs.get(usize::from(entry.pack))?, entry))
    }
}

/// Reads and checks the manifest and pages of a position.
pub(crate) async fn load(
    bucket: &Bucket,
    keys: &Keys,
    position: &Position,
) -> Result<LoadedState, ReadError> {
    let manifest = load_manifest(bucket, keys, position).await?;
    let loads = (0..manifest.pages.len()).map(|index| load_page(bucket, keys, &manifest, index));
    let pages = stream::iter(loads).buffered(PAGES_IN_FLIGHT).try_collect().await?;
    Ok(LoadedState { manifest, pages })
}

/// Reads and checks the manifest of a position.
pub(crate) async fn load_manifest(
    bucket: &Bucket,
    keys: &Keys,
    position: &Position,
) -> Result<Manifest, ReadError> {
    let key = keys.manifest(position);
    let (manifest, _) = bucket.read::<Manifest>(&key).await?;
    if position.sequence != 0 || position.offset != 0 {
        let why = "the position lies in a WAL stream, which this release does not read".to_owned();
        return Err(ReadError::Mismatch { key, why });
    }
    if manifest.lineage != position.lineage {
        return Err(wrong_lineage(key, manifest.lineage, &[position.lineage]));
    }
    if manifest.position() != *position {
        return Err(ReadError::Mismatch { key, why: format!("it is manifest {:?}", manifest.position()) });
    }
    manifest.check().map_err(ReadError::content(&key))?;
    Ok(manifest)
}

async fn load_page(
    bucket: &Bucket,
    keys: &Keys,
    manifest: &Manifest,
    index: usize,
) -> Result<Arc<Page>, ReadError> {
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
    let first = index as u64 * CHUNKS_PER_PAGE;
    let expected = (chunk_count(manifest.file_size) - first).min(CHUNKS_PER_PAGE);
    if page.name != reference.name || page.index != index as u64 || page.chunks.len() as u64 != expected {
        let why = format!("it is page {} of {} chunks named {}", page.index, page.chunks.len(), page.name);
        return Err(ReadError::Mismatch { key, why });
    }
    if let Some(foreign) = page.packs.iter().find(|pack| !manifest.lineages.contains(&pack.lineage)) {
        return Err(wrong_lineage(keys.pack(foreign), foreign.lineage, &manifest.lineages));
    }
    Ok(Arc::new(page))
}

fn wrong_lineage(key: String, found: Lineage, expected: &[Lineage]) -> ReadError {
    let mut expected = expected.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    expected.truncate(MAX_KEY_BYTES);
    ReadError::WrongLineage { key, found: found.to_string(), expected }
}

/// Chunks that lie next to each other in one pack: one range GET.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pack: ObjectName,
    range: Range<u64>,
    chunks: Vec<(u64, ChunkEntry)>,
}

/// Cuts a whole position into runs of at most [`MAX_RANGE_BYTES`], ordered by pack.
pub(crate) fn plan_runs(state: &LoadedState) -> Vec<Run> {
    let mut placed: Vec<(&ObjectName, u64, ChunkEntry)> = (0..chunk_count(state.manifest.file_size))
        .filter_map(|index| state.chunk(index).map(|(pack, entry)| (pack, index, *entry)))
        .collect();
    placed.sort_by(|a, b| a.0.cmp(b.0).then(a.2.offset.cmp(&b.2.offset)));
    let mut runs: Vec<Run> = Vec::new();
    for (pack, index, entry) in placed {
        let (start, end) = (u64::from(entry.offset), u64::from(entry.offset) + u64::from(entry.length));
        match runs.last_mut() {
            Some(run)
                if run.pack == *pack
                    && run.range.end == start
                    && end - run.range.start <= MAX_RANGE_BYTES =>
            {
                run.range.end = end;
                run.chunks.push((index, entry));
            }
            _ => runs.push(Run { pack: pack.clone(), range: start..end, chunks: vec![(index, entry)] }),
        }
    }
    runs
}

/// The stored bytes of a run.
pub(crate) struct Fetched {
    run: Run,
    key: String,
    stored: Bytes,
}

pub(crate) async fn fetch(bucket: &Bucket, keys: &Keys, run: Run) -> Result<Fetched, ReadError> {
    let key = keys.pack(&run.pack);
    let stored = bucket.get_range(&key, run.range.clone()).await?;
    Ok(Fetched { run, key, stored })
}

impl Fetched {
    /// Restores and checks the chunks one after another. Long: for a computing thread.
    pub(crate) fn chunks(
        &self,
        file_size: u64,
    ) -> impl Iterator<Item = Result<(u64, Vec<u8>), ReadError>> + '_ {
        self.run.chunks.iter().map(move |(index, entry)| {
            let range = chunk_range(*index, file_size);
            let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            // `fetch` returned exactly the run's range, which its entries' ranges make up.
            let start = usize::try_from(u64::from(entry.offset) - self.run.range.start).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(entry.length).unwrap_or(usize::MAX));
            let stored = self.stored.get(start..end).unwrap_or_default();
            let raw = pack::restore(stored, self.run.pack.lineage, *index, length, &entry.hash);
            raw.map(|raw| (*index, raw)).map_err(ReadError::content(&self.key))
        })
    }
}
