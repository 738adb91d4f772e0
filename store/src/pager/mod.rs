//! The main file of a database as a sparse local cache: chunks come from the bucket when they are read, and leave the
//! cache when it is full.
//!
//! What is in the file and nowhere else (written, and in no manifest yet) never leaves it. A chunk's hash is checked
//! when it arrives; a cache of another process is never read. One chunk is fetched once however many ask for it, and
//! never beside a write of it.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fs::{FallocateFlags, fallocate};
use tokio::sync::Semaphore;

use crate::bucket::Bucket;
use crate::chunk::{BLOCK_BYTES, ChunkSet, chunk_count, chunk_range, chunks_of};
use crate::keys::Keys;
use crate::state::LoadedState;

mod counters;
mod error;
mod fault;
mod first_reads;
mod flights;
mod read_ahead;
mod residency;

use counters::Counters;
pub use counters::PagerCounts;
pub use error::HydrateError;
use first_reads::FirstReads;
use flights::{Claim, Flights};
use read_ahead::ReadAhead;
pub use residency::MAX_READ_CHUNKS;
use residency::Residency;

/// Least size of a cache in bytes: room for one read of [`MAX_READ_CHUNKS`]. Give it room for several by each thread.
pub const LEAST_CACHE_BYTES: u64 = MAX_READ_CHUNKS * BLOCK_BYTES;
/// Range GETs under way at a time; each holds at most [`crate::state::MAX_RANGE_BYTES`].
const FETCHES_IN_FLIGHT: usize = 16;
/// Scans fetched ahead of at a time: reads that wait come first.
const AHEADS_IN_FLIGHT: usize = 6;
/// Chunks fetched ahead of a scan at most (8 MiB).
const LARGEST_AHEAD: u64 = 32;

/// Where chunks come from that are not in the file.
pub(crate) trait Base: fmt::Debug + Send + Sync {
    /// The position that has them; none before the first publish.
    fn state(&self) -> Option<Arc<LoadedState>>;
}

/// The main file of one database. Share it by `Arc`.
#[derive(Debug)]
pub struct Pager {
    file: Arc<File>,
    path: PathBuf,
    bucket: Bucket,
    keys: Keys,
    base: Arc<dyn Base>,
    /// Held alone while chunks leave the file, shared while they are read.
    residency: RwLock<Residency>,
    flights: Arc<Flights>,
    ahead: Mutex<ReadAhead>,
    fetches: Semaphore,
    aheads: Semaphore,
    first_reads: FirstReads,
    counters: Counters,
}

/// Result of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The bytes are in the buffer.
    Done {
        /// Their number.
        bytes: usize,
        /// Chunks that are worth a [`Pager::fetch_ahead`] in the background now.
        ahead: Option<Range<u64>>,
    },
    /// Some of it is not in the file: [`Pager::fault`] it and try again.
    Absent,
}

/// Removes the file again unless it was finished.
pub(crate) struct Unfinished(Option<PathBuf>);

impl Unfinished {
    pub(crate) fn new(path: &Path) -> Self {
        Self(Some(path.to_owned()))
    }

    pub(crate) fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a partly built file could not be removed");
        }
    }
}

impl Pager {
    /// Makes the file at `path`, which must not exist: as large as the base's, and empty. It should hold at most
    /// `cache_bytes`.
    pub(crate) fn create(
        bucket: &Bucket,
        keys: &Keys,
        base: Arc<dyn Base>,
        path: &Path,
        cache_bytes: u64,
    ) -> io::Result<(Self, Unfinished)> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        let unfinished = Unfinished::new(path);
        file.set_len(base.state().map_or(0, |state| state.file_size()))?;
        let limit = cache_bytes.max(LEAST_CACHE_BYTES) / BLOCK_BYTES;
        let pager = Self {
            file: Arc::new(file),
            path: path.to_owned(),
            bucket: bucket.clone(),
            keys: keys.clone(),
            base,
            residency: RwLock::new(Residency::new(limit)),
            flights: Arc::default(),
            ahead: Mutex::new(ReadAhead::new(LARGEST_AHEAD.min(limit / 8))),
            fetches: Semaphore::new(FETCHES_IN_FLIGHT),
            aheads: Semaphore::new(AHEADS_IN_FLIGHT),
            first_reads: FirstReads::default(),
            counters: Counters::default(),
        };
        Ok((pager, unfinished))
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Reads up to `buffer.len()` bytes, fewer only at the file's end. Reads of more than [`MAX_READ_CHUNKS`] may need
    /// more tries than a small cache allows.
    pub fn try_read(&self, buffer: &mut [u8], offset: u64) -> io::Result<Read> {
        let chunks = self.touched_by(offset, buffer.len() as u64)?;
        let residency = self.shared();
        if let Some(chunks) = &chunks
            && !residency.has_all(chunks.clone())
        {
            return Ok(Read::Absent);
        }
        let bytes = read_up_to(&self.file, buffer, offset)?;
        let marked = chunks.clone().is_some_and(|chunks| residency.touch(chunks));
        drop(residency);
        let ahead = chunks.filter(|_| marked).and_then(|chunks| self.scan(&chunks));
        Ok(Read::Done { bytes, ahead })
    }

    /// Chunks that are worth a [`Self::fetch_ahead`] in the background now that this read has to wait.
    pub fn missed(&self, offset: u64, length: u64) -> io::Result<Option<Range<u64>>> {
        Ok(self.touched_by(offset, length)?.and_then(|chunks| self.scan(&chunks)))
    }

    /// Writes all of `data`, which no manifest holds from now on. False if chunks that it writes only in part are not in
    /// the file, or some are on their way: [`Self::make_writable`] and try again.
    pub fn try_write(&self, data: &[u8], offset: u64) -> io::Result<bool> {
        if data.is_empty() {
            return Ok(true);
        }
        let chunks = chunks_of(offset, data.len() as u64);
        // Nobody fetches what is written, nor reads it before it is.
        let Some(claim) = self.claim_for_writing(&chunks, offset, data.len() as u64)? else {
            return Ok(false);
        };
        self.file.write_all_at(data, offset)?;
        self.alone().arrived(chunks);
        drop(claim);
        if self.shared().is_over() {
            self.evict();
        }
        Ok(true)
    }

    /// Notes the chunks as written before they are: one that is uploaded without need costs an upload, the other way
    /// costs the data. None if the write has to wait.
    fn claim_for_writing(
        &self,
        chunks: &RangeInclusive<u64>,
        offset: u64,
        length: u64,
    ) -> io::Result<Option<Claim>> {
        let flying = self.flights.hold();
        let mut residency = self.alone();
        if flying.range(chunks.clone()).next().is_some()
            || !parts_missing(&residency, self.size()?, offset, length).is_empty()
        {
            return Ok(None);
        }
        residency.write(chunks.clone());
        Ok(Some(self.flights.claim_held(flying, chunks.clone().filter(|index| !residency.has(*index)))))
    }

    /// Cuts the file, or makes it longer. False if parts of the last chunk are not in the file, or some that are cut off
    /// are on their way: [`Self::make_truncatable`] and try again.
    pub fn try_truncate(&self, size: u64) -> io::Result<bool> {
        let (count, last) = (chunk_count(size), last_chunk(size));
        let flying = self.flights.hold();
        let mut residency = self.alone();
        let parted = self.parted_by(size)?;
        if flying.range(last..).next().is_some() || (parted && !residency.has(last)) {
            return Ok(false);
        }
        self.file.set_len(size)?;
        residency.truncate(count);
        if parted && size > 0 {
            residency.write(last..=last);
        }
        Ok(true)
    }

    /// Whether a cut at `size` leaves a part of a chunk.
    fn parted_by(&self, size: u64) -> io::Result<bool> {
        Ok(size < chunk_range(last_chunk(size), self.size()?).end)
    }

    /// Begins another set of written chunks, and returns this one. What is in it stays in the file until
    /// [`Self::published`].
    pub fn freeze(&self) -> ChunkSet {
        self.alone().freeze()
    }

    /// A manifest that HEAD names holds what was frozen.
    pub fn published(&self) {
        self.alone().published();
        self.evict();
    }

    /// Bytes that are in no manifest, and so in this file alone or in segments: they cannot leave the cache.
    pub fn unpublished_bytes(&self) -> u64 {
        self.shared().unpublished() * BLOCK_BYTES
    }

    /// Bytes that the file should hold at most.
    pub fn limit_bytes(&self) -> u64 {
        self.shared().limit() * BLOCK_BYTES
    }

    /// Counts of its work so far.
    pub fn counts(&self) -> PagerCounts {
        let cached = self.shared().cached();
        self.counters.counts(cached * BLOCK_BYTES)
    }

    /// Notes that the engine read these bytes.
    pub fn note_read(&self, offset: u64, length: u64) {
        self.first_reads.note(&chunks_of(offset, length));
    }

    /// Has the chunks noted that are read first from now on: the next opening may want them at once.
    pub fn note_first_reads(&self) {
        self.first_reads.begin();
    }

    /// The chunks that were read first (8 MiB of them) since [`Self::note_first_reads`].
    pub fn first_reads(&self) -> ChunkSet {
        self.first_reads.chunks()
    }

    /// The chunks that a read touches; none beyond the file's end.
    fn touched_by(&self, offset: u64, length: u64) -> io::Result<Option<RangeInclusive<u64>>> {
        let length = length.min(self.size()?.saturating_sub(offset));
        Ok((length > 0).then(|| chunks_of(offset, length)))
    }

    /// A read that the read-ahead wants to know of.
    fn scan(&self, chunks: &RangeInclusive<u64>) -> Option<Range<u64>> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = ahead.read(chunks)?;
        drop(ahead);
        let count = chunk_count(self.size().ok()?);
        let wanted = wanted.start..wanted.end.min(count);
        if wanted.is_empty() {
            return None;
        }
        self.alone().mark(wanted.start, chunks.clone());
        Some(wanted)
    }

    /// Drops chunks that are read least, if there are too many.
    fn evict(&self) {
        let mut residency = self.alone();
        let victims = residency.evict();
        let size = self.size().unwrap_or(u64::MAX);
        for run in victims.chunk_by(|a, b| a + 1 == *b) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let (start, end) = (chunk_range(*first, size).start, chunk_range(*last, size).end);
            if start >= end {
                continue;
            }
            self.counters.evicted(run.len() as u64);
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if let Err(error) = fallocate(&*self.file, flags, start, end - start)
                && self.counters.first_failure()
            {
                // Nobody knows what is left there, and nobody reads it: it is fetched again, to the same place.
                tracing::warn!(%error, "the cache cannot be made smaller; its volume may fill up");
            }
        }
    }

    fn shared(&self) -> RwLockReadGuard<'_, Residency> {
        self.residency.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn alone(&self) -> RwLockWriteGuard<'_, Residency> {
        self.residency.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The chunk that the last byte of a file of `size` bytes is in.
fn last_chunk(size: u64) -> u64 {
    chunk_count(size).saturating_sub(1)
}

/// Chunks that a write of these bytes covers only in part, and that are not in the file of `size` bytes.
fn parts_missing(residency: &Residency, size: u64, offset: u64, length: u64) -> Vec<u64> {
    let (end, chunks) = (offset + length, chunks_of(offset, length));
    let missing = |index: &u64| {
        let place = chunk_range(*index, size);
        let whole = offset <= place.start && end >= place.end;
        !whole && !residency.has(*index)
    };
    let mut edges = vec![*chunks.start(), *chunks.end()];
    edges.dedup();
    edges.retain(missing);
    edges
}

/// Reads until the buffer is full or the file ends.
pub fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
