//! The chunks that were read first after an opening.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::chunk::ChunkSet;

/// Chunks noted (8 MiB).
const MOST: u64 = 32;

/// Notes the first chunks that are read.
#[derive(Debug, Default)]
pub(super) struct FirstReads {
    noting: AtomicBool,
    chunks: Mutex<ChunkSet>,
}

impl FirstReads {
    pub(super) fn begin(&self) {
        self.noting.store(true, Ordering::Relaxed);
    }

    pub(super) fn note(&self, chunks: &RangeInclusive<u64>) {
        if !self.noting.load(Ordering::Relaxed) {
            return;
        }
        let mut noted = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        for index in chunks.clone() {
            if noted.len() >= MOST {
                self.noting.store(false, Ordering::Relaxed);
                return;
            }
            noted.insert(index);
        }
    }

    pub(super) fn chunks(&self) -> ChunkSet {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
