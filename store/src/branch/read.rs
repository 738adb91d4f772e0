//! Reading a position: its manifest, its pages, and its chunks in runs of neighbours.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::MAX_RANGE_BYTES;
use super::pages::Pages;
use super::upload::Placed;
use crate::bucket::Bucket;
use crate::chunk::{ChunkSet, chunk_count, chunk_range};
use crate::encryption::Codec;
use crate::format::manifest::Manifest;
use crate::format::pack::PackedChunk;
use crate::format::page::{self, CHUNKS_PER_PAGE, ChunkEntry, MAX_PAGE_BYTES, ObjectName, Page};
use crate::format::segment::{CarriedChunk, ChunkPlace, Segment};
use crate::format::{FormatError, ReadError};
use crate::identity::Lineage;
use crate::keys::Keys;
use crate::object::MAX_KEY_BYTES;
use crate::position::{DatedPosition, Position};
use crate::stream::{self, LoadedStream};

/// Pages fetched at a time.
const PAGES_IN_FLIGHT: usize = 8;

/// Everything that says where a position's bytes are.
#[derive(Debug, Clone)]
pub(crate) struct LoadedState {
    pub(crate) manifest: Manifest,
    pub(crate) pages: Pages,
    /// The WAL after the manifest, whose chunks replace those of the pages.
    pub(crate) wal: Option<LoadedWal>,
}

/// WAL that belongs to a position.
#[derive(Debug, Clone)]
pub(crate) struct LoadedWal {
    pub(crate) stream: Arc<LoadedStream>,
    /// Where the position's last commit ends.
    pub(crate) offset: u64,
    /// The latest version of each chunk that the segments carry: number of the segment, and of the chunk in it.
    carried: Arc<BTreeMap<u64, (usize, usize)>>,
}

impl LoadedWal {
    pub(crate) fn new(stream: LoadedStream, offset: u64) -> Self {
        let chunks = stream.segments.iter().enumerate().flat_map(|(segment, carrier)| {
            let numbered = carrier.chunks.iter().enumerate();
            numbered.map(move |(number, chunk)| (chunk.index, (segment, number)))
        });
        let carried = Arc::new(chunks.collect());
        Self { stream: Arc::new(stream), offset, carried }
    }

    /// The latest version of a chunk, and the segment that carries it.
    fn chunk(&self, index: u64) -> Option<(&Segment, &CarriedChunk)> {
        let (segment, number) = *self.carried.get(&index)?;
        let segment = &self.stream.segments[segment];
        Some((segment, &segment.chunks[number]))
    }

    /// The chunks that the segments carry, the latest of each.
    fn chunks(&self) -> impl Iterator<Item = (&Segment, &CarriedChunk)> {
        self.carried.keys().filter_map(|index| self.chunk(*index))
    }
}

impl LoadedState {
    /// The position that this is.
    pub(crate) fn position(&self) -> Position {
        let base = self.manifest.position();
        match &self.wal {
            Some(LoadedWal { stream, offset, .. }) if stream.end.sequence > 0 => Position {
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

    /// The manifest alone, then each commit of the WAL.
    pub(crate) fn commits(&self) -> Vec<DatedPosition> {
        let base = self.manifest.position();
        let manifest = DatedPosition { position: base.clone(), last_commit: self.manifest.last_commit };
        let wal = self.wal.iter().flat_map(|wal| {
            let stream_epoch = Some(wal.stream.end.id.epoch);
            let commits = wal
                .stream
                .segments
                .iter()
                .flat_map(|segment| segment.commits.iter().map(move |commit| (segment.sequence, commit)));
            let within = commits.filter(move |(_, commit)| commit.end <= wal.offset);
            within.map(move |(sequence, commit)| (sequence, commit, stream_epoch))
        });
        let wal = wal.map(|(sequence, commit, stream_epoch)| DatedPosition {
            position: Position { sequence, offset: commit.end, stream_epoch, ..base.clone() },
            last_commit: Some(commit.time),
        });
        std::iter::once(manifest).chain(wal).collect()
    }

    /// An earlier commit boundary: segment and offset of one of [`Self::commits`].
    pub(crate) fn until(&self, sequence: u64, offset: u64) -> Self {
        let wal = self.wal.as_ref().filter(|_| sequence > 0).map(|wal| {
            let mut stream = LoadedStream::empty(wal.stream.end.id);
            for segment in wal.stream.segments.iter().take_while(|segment| segment.sequence <= sequence) {
                stream.end = stream.end.after(&segment.wal);
                stream.segments.push(segment.clone());
            }
            LoadedWal::new(stream, offset)
        });
        Self { manifest: self.manifest.clone(), pages: self.pages.clone(), wal }
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

    /// Whether this chunk is in the bucket.
    pub(crate) fn stores(&self, index: u64) -> bool {
        index < chunk_count(self.manifest.file_size)
            || self.wal.as_ref().is_some_and(|wal| wal.carried.contains_key(&index))
    }

    /// Numbers of the chunks that the WAL's segments carry.
    pub(crate) fn overlaid(&self) -> ChunkSet {
        self.wal.iter().flat_map(|wal| wal.carried.keys().copied()).collect()
    }

    /// Those of them that are in packs.
    pub(crate) fn overlaid_in_packs(&self) -> Placed {
        let carried = self.wal.iter().flat_map(LoadedWal::chunks);
        let packed = carried.filter_map(|(segment, chunk)| chunk.packed(segment));
        packed.map(|(pack, chunk)| (chunk.index, (Arc::new(pack.clone()), chunk))).collect()
    }

    /// The entry of a chunk and the pack that holds it, by the pages; none beyond the manifest's file.
    pub(crate) async fn chunk(&self, index: u64) -> Result<Option<(&ObjectName, &ChunkEntry)>, ReadError> {
        if index >= chunk_count(self.manifest.file_size) {
            return Ok(None);
        }
        // A file has at most `MAX_PAGES` pages of 4,096 chunks, so the conversions hold on every platform.
        let number = usize::try_from(index / CHUNKS_PER_PAGE).unwrap_or(usize::MAX);
        let page = self.pages.get(&self.manifest, number).await?;
        let entry = page.chunks.get(usize::try_from(index % CHUNKS_PER_PAGE).unwrap_or(usize::MAX));
        Ok(entry.and_then(|entry| Some((page.packs.get(usize::from(entry.pack))?, entry))))
    }

    /// Chunks that a page has entries for.
    pub(crate) fn page_length(&self, number: u64) -> u64 {
        page_length(&self.manifest, number)
    }

    /// Chunks that opening the database reads: what the manifest says, and the headers in any case.
    pub(crate) fn boot_set(&self) -> ChunkSet {
        let count = chunk_count(self.file_size());
        self.manifest.boot.iter().copied().chain([0]).filter(|index| *index < count).collect()
    }

    /// Reads the pages that these chunks need, at once.
    async fn read_pages(&self, chunks: &ChunkSet) -> Result<(), ReadError> {
        let last = chunk_count(self.manifest.file_size);
        let mut numbers: Vec<u64> =
            chunks.iter().filter(|index| *index < last).map(|index| index / CHUNKS_PER_PAGE).collect();
        numbers.dedup();
        let pages = numbers.into_iter().map(|number| {
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            async move { self.pages.get(&self.manifest, number).await.map(drop) }
        });
        futures::stream::iter(pages).buffer_unordered(PAGES_IN_FLIGHT).try_collect().await
    }
}

/// Reads and checks the manifest and the WAL of a position, and the pages that opening needs.
pub(crate) async fn load(
    bucket: &Bucket,
    keys: &Keys,
    position: &Position,
) -> Result<LoadedState, ReadError> {
    let manifest = load_manifest(bucket, keys, position).await?;
    let pages = Pages::unread(bucket, keys, manifest.pages.len());
    let mut state = LoadedState { manifest, pages, wal: None };
    let boot = state.boot_set();
    let wal = async {
        let Some(id) = position.stream() else { return Ok(None) };
        let branch = &position.branch;
        let stream = stream::up_to(bucket, keys, branch, id, position.sequence, position.offset).await?;
        Ok(Some(LoadedWal::new(stream, position.offset)))
    };
    let ((), wal) = futures::try_join!(state.read_pages(&boot), wal)?;
    state.wal = wal;
    Ok(state)
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

/// Chunks that a page of a manifest has entries for.
fn page_length(manifest: &Manifest, number: u64) -> u64 {
    let first = number * CHUNKS_PER_PAGE;
    chunk_count(manifest.file_size).saturating_sub(first).min(CHUNKS_PER_PAGE)
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

/// Cuts those of the `chunks` of a position that are in packs into runs of at most [`MAX_RANGE_BYTES`], ordered by
/// pack.
pub(crate) async fn plan_runs(state: &LoadedState, chunks: &ChunkSet) -> Result<Vec<Run>, ReadError> {
    state.read_pages(chunks).await?;
    let mut placed: Vec<(&ObjectName, Stored)> = Vec::new();
    for index in chunks.iter() {
        if let Some((segment, chunk)) = state.wal.as_ref().and_then(|wal| wal.chunk(index)) {
            let packed = chunk.packed(segment);
            placed.extend(
                packed.map(|(pack, chunk)| {
                    (pack, Stored { chunk, place: chunk_range(index, segment.file_size) })
                }),
            );
        } else if let Some((pack, entry)) = state.chunk(index).await? {
            let ChunkEntry { offset, length, hash, .. } = entry;
            let chunk = PackedChunk { index, offset: *offset, length: *length, hash: *hash };
            placed.push((pack, Stored { chunk, place: chunk_range(index, state.manifest.file_size) }));
        }
    }
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
    Ok(runs)
}

/// Those of the `wanted` chunks that are in segments themselves, restored and checked: their numbers, where they belong
/// in the main file, and what they hold. Long: for a computing thread.
pub(crate) fn inline_chunks<'a>(
    codec: &'a Codec,
    state: &'a LoadedState,
    wanted: impl Fn(u64) -> bool + 'a,
) -> impl Iterator<Item = Result<Restored, ReadError>> + 'a {
    let carried = state.wal.iter().flat_map(LoadedWal::chunks).filter(move |(_, chunk)| wanted(chunk.index));
    carried.filter_map(|(segment, chunk)| {
        let ChunkPlace::Inline(stored) = &chunk.place else { return None };
        let place = chunk_range(chunk.index, segment.file_size);
        let length = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
        let restored = codec.check(segment.encryption).and_then(|()| {
            codec.restore_chunk(stored, segment.stream.lineage, chunk.index, length, &chunk.hash)
        });
        let key = state.pages.keys().slot(&segment.branch, &segment.stream, segment.sequence);
        let restored = restored.map(|raw| Restored { index: chunk.index, place, raw });
        Some(restored.map_err(ReadError::content(&key)))
    })
}

/// A chunk as the main file has it.
pub(crate) struct Restored {
    pub(crate) index: u64,
    /// Its place in the main file.
    pub(crate) place: Range<u64>,
    pub(crate) raw: Vec<u8>,
}

/// The stored bytes of a run.
pub(crate) struct Fetched {
    run: Run,
    key: String,
    stored: Bytes,
    codec: Codec,
}

pub(crate) async fn fetch(bucket: &Bucket, keys: &Keys, run: Run) -> Result<Fetched, ReadError> {
    let key = keys.pack(&run.pack);
    let stored = bucket.get_range(&key, run.range.clone()).await?;
    Ok(Fetched { run, key, stored, codec: bucket.codec.clone() })
}

impl Fetched {
    /// Bytes that were fetched.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored.len() as u64
    }

    /// Restores and checks the chunks one after another. Long: for a computing thread.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Result<Restored, ReadError>> + '_ {
        self.run.chunks.iter().map(|Stored { chunk, place }| {
            let length = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
            // `fetch` returned exactly the run's range, which its chunks' ranges make up.
            let start = usize::try_from(u64::from(chunk.offset) - self.run.range.start).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(chunk.length).unwrap_or(usize::MAX));
            let stored = self.stored.get(start..end).unwrap_or_default();
            let lineage = self.run.pack.lineage;
            let raw = self.codec.restore_chunk(stored, lineage, chunk.index, length, &chunk.hash);
            let restored = raw.map(|raw| Restored { index: chunk.index, place: place.clone(), raw });
            restored.map_err(ReadError::content(&self.key))
        })
    }
}
