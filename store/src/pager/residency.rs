//! Which chunks are in the cache file, and which of them are nowhere else.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::chunk::ChunkSet;

/// Chunks of the cache file. Pure bookkeeping: who reads the file holds it shared, who evicts holds it alone.
#[derive(Debug)]
pub(super) struct Residency {
    present: ChunkSet,
    cached: u64,
    /// Read since the eviction's hand passed, one bit per chunk.
    touched: Vec<AtomicU64>,
    /// Chunks whose first read is to be told to the read-ahead.
    marked: ChunkSet,
    /// Since the last freeze.
    written: Written,
    /// Frozen, and in no manifest yet.
    frozen: Written,
    hand: u64,
    limit: u64,
}

/// What was written and is in no manifest: it may not leave the cache.
#[derive(Debug, Default)]
struct Written {
    chunks: ChunkSet,
    /// From this chunk on the file was cut: what the manifest has there is no more.
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

    /// They are about to be written.
    pub(super) fn write(&mut self, chunks: RangeInclusive<u64>) {
        for index in chunks {
            self.add(index);
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

    /// What was frozen is in a manifest.
    pub(super) fn published(&mut self) {
        self.frozen = Written::default();
    }

    /// Whether anything was written since the last freeze.
    pub(super) fn is_written(&self) -> bool {
        !self.written.chunks.is_empty()
    }

    /// Chunks in the file.
    pub(super) fn cached(&self) -> u64 {
        self.cached
    }

    /// Chunks that are in no manifest. One that was frozen and written again counts twice: both versions go out.
    pub(super) fn unpublished(&self) -> u64 {
        self.written.chunks.len() + self.frozen.chunks.len()
    }

    /// Chooses chunks to drop until `batch` below the limit, in ascending order: those not read for longest, as near
    /// as one bit per chunk can tell. They count as gone. Headers and what no manifest holds stay.
    pub(super) fn evict(&mut self, batch: u64) -> Vec<u64> {
        let mut victims = Vec::new();
        if self.cached <= self.limit {
            return victims;
        }
        let target = self.limit.saturating_sub(batch);
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

    fn full(limit: u64, count: u64) -> Residency {
        let mut residency = Residency::new(limit);
        residency.arrived(0..count);
        residency
    }

    #[test]
    fn the_longest_unread_go_first_and_headers_stay() {
        let mut residency = full(6, 8);
        // The first round takes the bits of all, the second begins with chunk 1.
        assert_eq!(residency.evict(0), [1, 2]);
        assert!(residency.has(0) && residency.has_all(3..=7) && !residency.has_all(2..=3));
        residency.arrived([1, 2]);
        residency.touch(3..=4);
        assert_eq!(residency.evict(0), [5, 6]);
        assert_eq!(residency.cached(), 6);
        assert!(residency.evict(0).is_empty());
    }

    #[test]
    fn what_no_manifest_holds_stays_whatever_the_limit() {
        let mut residency = full(2, 4);
        residency.write(1..=5);
        assert_eq!(residency.evict(0), [] as [u64; 0], "all but the headers are written");
        assert_eq!(residency.freeze().len(), 5);
        residency.write(5..=5);
        assert_eq!(residency.evict(0), [] as [u64; 0], "frozen is not published");
        assert_eq!(residency.unpublished(), 6);
        residency.published();
        assert_eq!(residency.evict(0), [1, 2, 3, 4]);
        assert!(residency.has(5) && residency.is_written());
    }

    #[test]
    fn a_failed_publish_and_the_next_freeze_are_published_together() {
        let mut residency = full(1, 1);
        residency.write(1..=1);
        residency.freeze();
        residency.write(2..=2);
        assert_eq!(residency.freeze().iter().collect::<Vec<_>>(), [2]);
        assert!(residency.evict(0).is_empty());
        residency.published();
        assert_eq!(residency.evict(0), [1, 2]);
    }

    #[test]
    fn what_a_cut_took_is_not_asked_of_the_manifest_again() {
        let mut residency = full(10, 6);
        residency.write(5..=5);
        residency.truncate(3);
        assert!(!residency.has(3) && !residency.has(5) && !residency.is_written());
        assert_eq!(residency.cached(), 3);
        assert!(residency.is_cut(3) && !residency.is_cut(2));
        residency.freeze();
        residency.write(3..=4);
        assert!(residency.is_cut(5), "until the cut is in a manifest");
        residency.published();
        assert!(!residency.is_cut(5));
    }

    #[test]
    fn marks_are_told_once() {
        let mut residency = full(10, 6);
        residency.mark(4, 0..=0);
        assert!(!residency.touch(1..=3) && residency.touch(2..=4));
        residency.mark(5, 2..=4);
        assert!(!residency.touch(2..=4));
    }
}
