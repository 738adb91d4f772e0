//! Which chunks are in the cache file, and which of them are nowhere else.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::chunk::ChunkSet;

/// Most chunks of one read that [`super::Pager::try_read`] serves: what a caller asks for in pieces.
pub const MAX_READ_CHUNKS: u64 = 4;

/// Clean chunks that a cache has room for, whatever was written: the pieces that two threads read at a time.
const LEAST_CLEAN: u64 = 2 * (MAX_READ_CHUNKS + 1);
/// Most chunks that one eviction frees beyond what it must.
const BATCH: u64 = 16;

/// Chunks of the cache file. Pure bookkeeping: who reads the file holds it shared, who evicts holds it alone.
#[derive(Debug)]
pub(super) struct Residency {
    present: ChunkSet,
    cached: u64,
    /// Chunks that were read since the eviction's hand passed, one bit for each.
    touched: Vec<AtomicU64>,
    /// Chunks whose first read is to be told to the read-ahead.
    marked: ChunkSet,
    /// Chunks written since the last freeze.
    written: Written,
    /// Chunks that are frozen, and in no manifest yet.
    frozen: Written,
    hand: u64,
    limit: u64,
}

/// Chunks that were written and are in no manifest: they may not leave the cache.
#[derive(Debug, Default)]
struct Written {
    chunks: ChunkSet,
    /// The first chunk that a cut of the file removed: from it on, the manifest's chunks are no longer the file's.
    cut: Option<u64>,
}

impl Written {
    fn hides(&self, index: u64) -> bool {
        self.cut.is_some_and(|cut| index >= cut)
    }
}

impl Residency {
    /// Nothing yet; it should hold at most `limit` chunks.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            present: ChunkSet::new(),
            cached: 0,
            touched: Vec::new(),
            marked: ChunkSet::new(),
            written: Written::default(),
            frozen: Written::default(),
            hand: 0,
            limit,
        }
    }

    /// Whether all of these are in the file.
    pub(super) fn has_all(&self, mut chunks: RangeInclusive<u64>) -> bool {
        chunks.all(|index| self.present.contains(index))
    }

    /// Whether this one is in the file.
    pub(super) fn has(&self, index: u64) -> bool {
        self.present.contains(index)
    }

    /// Whether what the manifest has of this chunk was cut off since.
    pub(super) fn is_cut(&self, index: u64) -> bool {
        self.written.hides(index) || self.frozen.hides(index)
    }

    /// They are being read, which keeps them for a while. True if the read-ahead wants to know.
    pub(super) fn touch(&self, chunks: RangeInclusive<u64>) -> bool {
        let mut marked = false;
        for index in chunks {
            let (word, bit) = locate(index);
            if let Some(word) = self.touched.get(word) {
                word.fetch_or(bit, Ordering::Relaxed);
            }
            marked |= self.marked.contains(index);
        }
        marked
    }

    /// The read-ahead wants to know when this chunk is read; and no more of those that were.
    pub(super) fn mark(&mut self, index: u64, told: RangeInclusive<u64>) {
        told.for_each(|told| self.marked.remove(told));
        self.marked.insert(index);
    }

    /// They are in the file now, as the manifest has them.
    pub(super) fn arrived(&mut self, chunks: impl IntoIterator<Item = u64>) {
        for index in chunks {
            self.add(index);
        }
    }

    /// They are about to be written: they do not leave any more.
    pub(super) fn write(&mut self, chunks: RangeInclusive<u64>) {
        for index in chunks {
            self.written.chunks.insert(index);
        }
    }

    /// The file ends before this chunk.
    pub(super) fn truncate(&mut self, count: u64) {
        let cut = self.written.cut.get_or_insert(count);
        *cut = count.min(*cut);
        let beyond: Vec<u64> = self.present.iter_from(count).collect();
        for index in beyond {
            self.present.remove(index);
            self.written.chunks.remove(index);
            self.cached -= 1;
        }
    }

    /// Begins another set of written chunks. What is frozen stays in the file until [`Self::published`].
    pub(super) fn freeze(&mut self) -> ChunkSet {
        let Written { chunks, cut } = std::mem::take(&mut self.written);
        self.frozen.chunks.union(&chunks);
        self.frozen.cut = self.frozen.cut.into_iter().chain(cut).min();
        chunks
    }

    /// Notes that a manifest holds what was frozen.
    pub(super) fn published(&mut self) {
        self.frozen = Written::default();
    }

    /// Chunks that the file should hold at most.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Chunks in the file.
    pub(super) fn cached(&self) -> u64 {
        self.cached
    }

    /// Chunks that are in no manifest. One that was frozen and written again counts twice: both versions go out.
    pub(super) fn unpublished(&self) -> u64 {
        self.written.chunks.len() + self.frozen.chunks.len()
    }

    /// Whether there is something to evict.
    pub(super) fn is_over(&self) -> bool {
        self.cached > self.bound()
    }

    /// Chunks that the file may hold: the limit, or more where unpublished ones would leave too little room for reads.
    fn bound(&self) -> u64 {
        self.limit.max(self.unpublished() + (self.limit / 4).max(LEAST_CLEAN))
    }

    /// Chooses chunks to drop, some more than must go, in ascending order: those not read for longest, as near as one
    /// bit per chunk can tell. They count as gone. Headers and what no manifest holds stay.
    pub(super) fn evict(&mut self) -> Vec<u64> {
        let mut victims = Vec::new();
        if !self.is_over() {
            return victims;
        }
        let target = self.bound() - (self.limit / 16).min(BATCH);
        let end = self.present.end();
        // Twice round: the first time takes the bit of what was read, the second the chunk.
        for _ in 0..end * 2 {
            if self.cached <= target {
                break;
            }
            let index = self.hand;
            self.hand = (self.hand + 1) % end;
            let (word, bit) = locate(index);
            let stays = index == 0
                || !self.present.contains(index)
                || self.written.chunks.contains(index)
                || self.frozen.chunks.contains(index);
            if stays || self.touched[word].fetch_and(!bit, Ordering::Relaxed) & bit != 0 {
                continue;
            }
            self.present.remove(index);
            self.cached -= 1;
            victims.push(index);
        }
        victims.sort_unstable();
        victims
    }

    fn add(&mut self, index: u64) {
        let (word, bit) = locate(index);
        if word >= self.touched.len() {
            self.touched.resize_with(word + 1, AtomicU64::default);
        }
        // What has just come is about to be read.
        *self.touched[word].get_mut() |= bit;
        self.cached += u64::from(self.present.insert(index));
    }
}

/// A file has at most 2^26 chunks, so the conversion holds on every platform.
fn locate(index: u64) -> (usize, u64) {
    (usize::try_from(index / 64).unwrap_or(usize::MAX - 1), 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for 40 chunks; so many are there.
    fn full(count: u64) -> Residency {
        let mut residency = Residency::new(40);
        residency.arrived(0..count);
        residency
    }

    fn written(residency: &mut Residency, chunks: RangeInclusive<u64>) {
        residency.write(chunks.clone());
        residency.arrived(chunks);
    }

    #[test]
    fn the_longest_unread_go_first_and_headers_stay() {
        let mut residency = full(42);
        // The first round takes the bits of all, the second begins with chunk 1. Two more than must go.
        assert_eq!(residency.evict(), [1, 2, 3, 4]);
        assert!(residency.has(0) && residency.has_all(5..=41) && !residency.has_all(4..=5));
        residency.arrived(1..=4);
        residency.touch(5..=6);
        assert_eq!(residency.evict(), [7, 8, 9, 10]);
        assert_eq!(residency.cached(), 38);
        assert!(residency.evict().is_empty());
    }

    #[test]
    fn what_no_manifest_holds_stays_whatever_the_limit() {
        let mut residency = full(1);
        written(&mut residency, 1..=60);
        assert_eq!(residency.evict(), [] as [u64; 0], "all but the headers are written");
        assert_eq!(residency.freeze().len(), 60);
        written(&mut residency, 60..=60);
        assert_eq!(residency.evict(), [] as [u64; 0], "frozen is not published");
        assert_eq!(residency.unpublished(), 61);
        residency.published();
        assert_eq!(residency.evict(), (1..=23).collect::<Vec<_>>());
        assert!(residency.has(60));
        assert_eq!(residency.freeze().len(), 1);
    }

    #[test]
    fn what_is_read_has_room_beside_what_is_written() {
        let mut residency = full(1);
        written(&mut residency, 1..=100);
        residency.arrived(200..=205);
        assert!(residency.evict().is_empty());
        residency.arrived(206..=215);
        let gone = residency.evict();
        assert!(!gone.is_empty() && gone.iter().all(|index| *index >= 200), "{gone:?}");
        assert!(residency.cached() > 101);
    }

    #[test]
    fn a_failed_publish_and_the_next_freeze_are_published_together() {
        let mut residency = full(1);
        written(&mut residency, 1..=30);
        residency.freeze();
        written(&mut residency, 31..=60);
        assert_eq!(residency.freeze().len(), 30);
        assert!(residency.evict().is_empty());
        residency.published();
        assert_eq!(residency.evict().first(), Some(&1));
    }

    #[test]
    fn what_a_cut_took_is_not_asked_of_the_manifest_again() {
        let mut residency = full(6);
        written(&mut residency, 5..=5);
        residency.truncate(3);
        assert!(!residency.has(3) && !residency.has(5));
        assert_eq!(residency.cached(), 3);
        assert!(residency.is_cut(3) && !residency.is_cut(2));
        assert!(residency.freeze().is_empty());
        written(&mut residency, 3..=4);
        assert!(residency.is_cut(5), "until the cut is in a manifest");
        residency.published();
        assert!(!residency.is_cut(5));
    }

    #[test]
    fn marks_are_told_once() {
        let mut residency = full(6);
        residency.mark(4, 0..=0);
        assert!(!residency.touch(1..=3) && residency.touch(2..=4));
        residency.mark(5, 2..=4);
        assert!(!residency.touch(2..=4));
    }
}
