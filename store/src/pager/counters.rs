//! Counters of a pager's work, for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counts of a pager's work since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PagerCounts {
    /// Times that a read had to wait for the bucket.
    pub faults: u64,
    /// Requests for parts of packs.
    pub requests: u64,
    /// Stored bytes of their answers.
    pub fetched_bytes: u64,
    /// Chunks that left the cache for others.
    pub evicted_chunks: u64,
    /// Bytes of chunks in the cache now.
    pub cached_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    faults: AtomicU64,
    requests: AtomicU64,
    fetched_bytes: AtomicU64,
    evicted_chunks: AtomicU64,
    failed: AtomicBool,
}

impl Counters {
    pub(super) fn fault(&self) {
        self.faults.fetch_add(1, Relaxed);
    }

    pub(super) fn fetched(&self, bytes: u64) {
        self.requests.fetch_add(1, Relaxed);
        self.fetched_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn evicted(&self, chunks: u64) {
        self.evicted_chunks.fetch_add(chunks, Relaxed);
    }

    /// The cache could not be made smaller; true the first time.
    pub(super) fn first_failure(&self) -> bool {
        !self.failed.swap(true, Relaxed)
    }

    pub(super) fn counts(&self, cached_bytes: u64) -> PagerCounts {
        PagerCounts {
            faults: self.faults.load(Relaxed),
            requests: self.requests.load(Relaxed),
            fetched_bytes: self.fetched_bytes.load(Relaxed),
            evicted_chunks: self.evicted_chunks.load(Relaxed),
            cached_bytes,
        }
    }
}
