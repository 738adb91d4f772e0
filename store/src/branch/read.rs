//! Reading a position: its manifest, its pages, and its chunks in runs of neighbours.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::MAX_RANGE_BYTES;
use super::upload::Placed;
use crate::bucket::Bucket;
use crate::chunk::{ChunkSet, chunk_count, chunk_range};
use crate::format::manifest::Manifest;
use crate::format::pack::PackedChunk;
use crate::format::page::{self, CHUNKS_PER_PAGE, ChunkEntry, MAX_PAGE_BYTES, ObjectName, Page};
use crate::format::segment::{CarriedChunk, ChunkPlace, Segment};
use crate::format::{FormatError, ReadError, pack};
use crate::identity::Lineage;
use crate::keys::Keys;
use crate::object::MAX_KEY_BYTES;
use crate::position::Position;
use crate::stream::{self, LoadedStream};

/// Pages fetched at a time.
const PAGES_IN_FLIGHT: usize = 8;

/// Everything that says where a position's bytes are.
#[derive(Debug, Clone)]
pub(crate) struct LoadedState {
    pub(crate) manifest: Manifest,
    pub(crate) pages: Vec<Arc<Page>>,
    /// The WAL after the manifest, whose chunks replace those of the pages.
    pub(crate) wal: Option<LoadedWal>,
}

/// WAL that belongs to a position.
#[derive(Debug, Clone)]
pub(crate) struct LoadedWal {
    pub(crate) stream: Arc<LoadedStream>,
    /// Where the position's last commit ends.
    pub(crate) offset: u64,
}

impl LoadedWal {
    /// The chunks that the segments carry, the latest of each.
    fn chunks(&self) -> BTreeMap<u64, (&Segment, &CarriedChunk)> {
        let segments = self.stream.segments.iter();
        segments.flat_map(|s| s.chunks.iter().map(move |chunk| (chunk.index, (s, chunk)))).collect()
    }
}

impl LoadedState {
    /// The position that this is.
    pub(crate) fn position(&self) -> Position {
        let base = self.manifest.position();
        match &self.wal {
            Some(LoadedWal { stream, offset }) if stream.end.sequence > 0 => Position {
                sequence: stream.end.sequence,
                offset: *offset,
                stream_epoch: Some(stream.end.id.epoch),
                ..base
            },
            _ => base,
        }
    }

    /// Time of the last commit in it.
    pub(crate) fn last_commit(&self) -> Option<Timestamp> {
        let wal = self.wal.iter().flat_map(|wal| {
            let commits = wal.stream.segments.iter().flat_map(|segment| &segment.commits);
            commits.filter(|commit| commit.end <= wal.offset).map(|commit| commit.time)
        });
        wal.max().max(self.manifest.last_commit)
    }

    /// Size of the main file in bytes.
    pub(crate) fn file_size(&self) -> u64 {
        let carried = self.wal.iter().flat_map(|wal| &wal.stream.segments).map(|segment| segment.file_size);
        carried.max().unwrap_or(0).max(self.manifest.file_size)
    }

    /// Chunks that are in the bucket. The file may have more: blocks of transactions that were still open.
    pub(crate) fn chunks_stored(&self) -> ChunkSet {
        let mut stored: ChunkSet = (0..chunk_count(self.manifest.file_size)).collect();
        stored.union(&self.overlaid());
        stored
    }

    /// Numbers of the chunks that the WAL's segments carry.
    pub(crate) fn overlaid(&self) -> ChunkSet {
        self.wal.iter().flat_map(|wal| wal.chunks().into_keys()).collect()
    }

    /// Those of them that are in packs.
    pub(crate) fn overlaid_in_packs(&self) -> Placed {
        let carried = self.wal.iter().flat_map(|wal| wal.chunks().into_values());
        let packed = carried.filter_map(|(segment, chunk)| chunk.packed(segment));
        packed.map(|(pack, chunk)| (chunk.index, (Arc::new(pack.clone()), chunk))).collect()
    }

    /// The entry of a chunk and the pack that holds it, by the pages; none beyond the file.
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
    let pages = futures::stream::iter(loads).buffered(PAGES_IN_FLIGHT).try_collect().await?;
    let wal = match position.stream() {
        Some(id) => {
            let branch = &position.branch;
            let stream = stream::up_to(bucket, keys, branch, id, position.sequence, position.offset).await?;
            Some(LoadedWal { stream: Arc::new(stream), offset: position.offset })
        }
        None => None,
    };
    Ok(LoadedState { manifest, pages, wal })
}

/// Reads and checks the manifest of a position.
pub(crate) async fn load_manifest(
    bucket: &Bucket,
    keys: &Keys,
    position: &Position,
) -> Result<Manifest, ReadError> {
    let key = keys.manifest(position);
    let (manifest, _) = bucket.read::<Manifest>(&key).await?;
    if (position.sequence == 0) != position.stream_epoch.is_none() {
        let why = "the position names a number of a stream, but not the stream".to_owned();
        return Err(ReadError::Mismatch { key, why });
    }
    if manifest.lineage != position.lineage {
        return Err(wrong_lineage(key, manifest.lineage, &[position.lineage]));
    }
    if manifest.position() != position.base() {
        return Err(ReadError::Mismatch { key, why: format!("it is manifest {:?}", manifest.position()) });
    }
    manifest.check().map_err(ReadError::content(&key))?;
    Ok(manifest)
}

pub(crate) async fn load_page(
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

/// A chunk in a pack, and where it belongs in the main file.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    chunk: PackedChunk,
    place: Range<u64>,
}

/// Chunks that lie next to each other in one pack: one range GET.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pack: ObjectName,
    range: Range<u64>,
    chunks: Vec<Stored>,
}

impl Run {
    /// The pack that it is in.
    pub(crate) fn pack(&self) -> &ObjectName {
        &self.pack
    }

    /// Its bytes in the pack.
    pub(crate) fn range(&self) -> &Range<u64> {
        &self.range
    }
}

/// Cuts all chunks of a position that are in packs into runs of at most [`MAX_RANGE_BYTES`], ordered by pack.
pub(crate) fn plan_runs(state: &LoadedState) -> Vec<Run> {
    let overlaid = state.overlaid();
    let base = (0..chunk_count(state.manifest.file_size)).filter(|index| !overlaid.contains(*index));
    let base = base.filter_map(|index| {
        let (pack, ChunkEntry { offset, length, hash, .. }) = state.chunk(index)?;
        let chunk = PackedChunk { index, offset: *offset, length: *length, hash: *hash };
        Some((pack, Stored { chunk, place: chunk_range(index, state.manifest.file_size) }))
    });
    let carried = state.wal.iter().flat_map(|wal| wal.chunks().into_values());
    let carried = carried.filter_map(|(segment, chunk)| {
        let (pack, chunk) = chunk.packed(segment)?;
        Some((pack, Stored { chunk, place: chunk_range(chunk.index, segment.file_size) }))
    });
    let mut placed: Vec<(&ObjectName, Stored)> = base.chain(carried).collect();
    placed.sort_by(|a, b| a.0.cmp(b.0).then(a.1.chunk.offset.cmp(&b.1.chunk.offset)));
    let mut runs: Vec<Run> = Vec::new();
    for (pack, stored) in placed {
        let start = u64::from(stored.chunk.offset);
        let end = start + u64::from(stored.chunk.length);
        match runs.last_mut() {
            Some(run)
                if run.pack == *pack
                    && run.range.end == start
                    && end - run.range.start <= MAX_RANGE_BYTES =>
            {
                run.range.end = end;
                run.chunks.push(stored);
            }
            _ => runs.push(Run { pack: pack.clone(), range: start..end, chunks: vec![stored] }),
        }
    }
    runs
}

/// The chunks that are in segments themselves, restored and checked: where they belong in the main file, and what
/// they hold. Long: for a computing thread.
pub(crate) fn inline_chunks(
    keys: &Keys,
    state: &LoadedState,
) -> impl Iterator<Item = Result<(Range<u64>, Vec<u8>), ReadError>> {
    let carried = state.wal.iter().flat_map(|wal| wal.chunks().into_values());
    carried.filter_map(|(segment, chunk)| {
        let ChunkPlace::Inline(stored) = &chunk.place else { return None };
        let place = chunk_range(chunk.index, segment.file_size);
        let length = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
        let raw = pack::restore(stored, segment.stream.lineage, chunk.index, length, &chunk.hash);
        let key = keys.slot(&segment.branch, &segment.stream, segment.sequence);
        Some(raw.map(|raw| (place, raw)).map_err(ReadError::content(&key)))
    })
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
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Result<(Range<u64>, u64, Vec<u8>), ReadError>> + '_ {
        self.run.chunks.iter().map(|Stored { chunk, place }| {
            let length = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
            // `fetch` returned exactly the run's range, which its chunks' ranges make up.
            let start = usize::try_from(u64::from(chunk.offset) - self.run.range.start).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(chunk.length).unwrap_or(usize::MAX));
            let stored = self.stored.get(start..end).unwrap_or_default();
            let raw = pack::restore(stored, self.run.pack.lineage, chunk.index, length, &chunk.hash);
            raw.map(|raw| (place.clone(), chunk.index, raw)).map_err(ReadError::content(&self.key))
        })
    }
}
