//! The end of a stream.

use crate::format::segment::StoredWal;
use crate::position::{StreamEnd, StreamId};

/// The end of a stream, as its writer or reader knows it.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) id: StreamId,
    /// Last number that holds a segment.
    pub(crate) sequence: u64,
    /// Bytes of WAL.
    pub(crate) length: u64,
    /// Hash of those bytes as they are stored.
    pub(crate) hasher: blake3::Hasher,
}

impl End {
    /// The end of a stream without any segment.
    pub(crate) fn empty(id: StreamId) -> Self {
        Self { id, sequence: 0, length: 0, hasher: blake3::Hasher::new() }
    }

    /// The end after one more segment with this WAL.
    pub(crate) fn after(&self, wal: &StoredWal) -> Self {
        let mut next = self.clone();
        next.sequence += 1;
        next.length += wal.length as u64;
        next.hasher.update(&wal.stored);
        next
    }

    /// The end as manifests record it.
    pub(crate) fn record(&self) -> StreamEnd {
        let hash = if self.length == 0 { String::new() } else { self.hasher.finalize().to_hex().to_string() };
        StreamEnd { stream: self.id, sequence: self.sequence, length: self.length, hash }
    }
}
