//! Everything that says where a position's bytes are.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::manifest::{load_manifest, page_length};
use super::pages::Pages;
use crate::bucket::Bucket;
use crate::chunk::{ChunkSet, chunk_count};
use crate::format::ReadError;
use crate::format::manifest::Manifest;
use crate::format::name::ObjectName;
use crate::format::pack::PackedChunk;
use crate::format::page::{CHUNKS_PER_PAGE, ChunkEntry};
use crate::format::segment::{CarriedChunk, Segment};
use crate::keys::Keys;
use crate::position::{DatedPosition, Position};
use crate::stream::{self, LoadedStream};

/// Pages fetched at a time.
const PAGES_IN_FLIGHT: usize = 8;

/// Where chunks were put.
pub(crate) type Placed = BTreeMap<u64, (Arc<ObjectName>, PackedChunk)>;

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
    pub(super) fn chunk(&self, index: u64) -> Option<(&Segment, &CarriedChunk)> {
        let (segment, number) = *self.carried.get(&index)?;
        let segment = &self.stream.segments[segment];
        Some((segment, &segment.chunks[number]))
    }

    /// The chunks that the segments carry, the latest of each.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (&Segment, &CarriedChunk)> {
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

    /// The chunks that the WAL's segments put into packs, with their places.
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
    pub(super) async fn read_pages(&self, chunks: &ChunkSet) -> Result<(), ReadError> {
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
