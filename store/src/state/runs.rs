//! A position's chunks, read in runs of neighbours.

use std::ops::Range;

use bytes::Bytes;

use super::loaded::{LoadedState, LoadedWal};
use crate::bucket::Bucket;
use crate::chunk::{ChunkSet, chunk_range};
use crate::encryption::Codec;
use crate::format::ReadError;
use crate::format::name::ObjectName;
use crate::format::pack::PackedChunk;
use crate::format::page::ChunkEntry;
use crate::format::segment::ChunkPlace;
use crate::keys::Keys;

/// Most stored bytes of one range GET.
pub const MAX_RANGE_BYTES: u64 = 4 * 1024 * 1024;

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

/// Fetches a run.
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
