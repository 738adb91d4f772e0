//! Chunks on their way into the cache file: one fetch of each at a time, and no write beside it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::chunk::ChunkSet;

/// The chunks on their way, by number.
#[derive(Debug, Default)]
pub(super) struct Flights {
    chunks: Mutex<BTreeSet<u64>>,
    landed: Notify,
}

/// The right to fetch some chunks and put them into the file; others wait until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    flights: Arc<Flights>,
    pub(super) chunks: ChunkSet,
}

/// The list of what is on its way, held while deciding what becomes of a chunk.
pub(super) type Held<'a> = MutexGuard<'a, BTreeSet<u64>>;

impl Flights {
    /// Nothing begins or ends while this is held.
    pub(super) fn hold(&self) -> Held<'_> {
        // Each change is one insertion or removal, so a panicking holder leaves the set whole.
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims those of the chunks that `wanted` says and nobody fetches.
    pub(super) fn claim(
        self: &Arc<Self>,
        chunks: impl IntoIterator<Item = u64>,
        wanted: impl Fn(u64) -> bool,
    ) -> Claim {
        self.claim_held(self.hold(), chunks.into_iter().filter(|index| wanted(*index)))
    }

    /// Claims those of the chunks that are not on their way.
    pub(super) fn claim_held(
        self: &Arc<Self>,
        mut flying: Held<'_>,
        chunks: impl IntoIterator<Item = u64>,
    ) -> Claim {
        let claimed = chunks.into_iter().filter(|index| flying.insert(*index)).collect();
        Claim { flights: Arc::clone(self), chunks: claimed }
    }

    /// Waits until none of these is on its way.
    pub(super) async fn landed(&self, chunks: RangeInclusive<u64>) {
        loop {
            let landed = self.landed.notified();
            if self.hold().range(chunks.clone()).next().is_none() {
                return;
            }
            landed.await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.chunks.is_empty() {
            return;
        }
        let mut flying = self.flights.hold();
        for index in self.chunks.iter() {
            flying.remove(&index);
        }
        drop(flying);
        self.flights.landed.notify_waiters();
    }
}
