//! A stream in memory, each piece checked when it is added.

use super::end::End;
use crate::format::ReadError;
use crate::format::segment::{Seal, Segment, Slot};
use crate::position::StreamId;

/// One stream from its beginning on.
#[derive(Debug, Clone)]
pub(crate) struct LoadedStream {
    pub(crate) segments: Vec<Segment>,
    /// The seals after the segments: each owner that took over puts one, until a publish begins another stream.
    pub(crate) seals: Vec<Seal>,
    pub(crate) end: End,
}

impl LoadedStream {
    pub(crate) fn empty(id: StreamId) -> Self {
        Self { segments: Vec::new(), seals: Vec::new(), end: End::empty(id) }
    }

    /// The number that was not read yet.
    pub(crate) fn next(&self) -> u64 {
        self.end.sequence + self.seals.len() as u64 + 1
    }

    /// Adds what is at the next number.
    pub(super) fn take(&mut self, key: &str, slot: Slot) -> Result<(), ReadError> {
        match slot {
            Slot::Segment(segment) => self.push(key, segment),
            Slot::Seal(seal) => {
                self.seals.push(seal);
                Ok(())
            }
        }
    }

    /// Adds the next segment after checking that it continues the stream.
    pub(super) fn push(&mut self, key: &str, segment: Segment) -> Result<(), ReadError> {
        let next = self.end.after(&segment.wal);
        let mismatch = |why: &str| Err(ReadError::Mismatch { key: key.into(), why: why.into() });
        if !self.seals.is_empty() || segment.sequence != next.sequence || segment.base != self.end.length {
            return mismatch("it does not continue the stream before it");
        }
        if *next.hasher.finalize().as_bytes() != segment.wal_hash {
            return mismatch("the WAL up to it is not the one that it was written after");
        }
        self.end = next;
        self.segments.push(segment);
        Ok(())
    }
}
