//! Division of DuckDB's file into chunks. The only place that knows DuckDB's layout.

use std::ops::{Range, RangeInclusive};

use crate::identity::DatabaseId;

/// Bytes of chunk 0: DuckDB's three headers of 4,096 bytes.
pub const HEADER_BYTES: u64 = 12_288;
/// Bytes of every other chunk: one DuckDB block.
pub const BLOCK_BYTES: u64 = 262_144;
/// Largest chunk.
pub const MAX_CHUNK_BYTES: usize = 262_144;
/// Largest file: what [`crate::format::manifest::MAX_PAGES`] pages address.
pub const MAX_FILE_BYTES: u64 = HEADER_BYTES + BLOCK_BYTES * (4_096 * 16_384 - 1);

/// Number of chunks of a file of `file_size` bytes.
pub fn chunk_count(file_size: u64) -> u64 {
    match file_size {
        0 => 0,
        size if size <= HEADER_BYTES => 1,
        size => 1 + (size - HEADER_BYTES).div_ceil(BLOCK_BYTES),
    }
}

/// The chunk that holds byte `offset`.
pub fn chunk_at(offset: u64) -> u64 {
    if offset < HEADER_BYTES { 0 } else { 1 + (offset - HEADER_BYTES) / BLOCK_BYTES }
}

/// The chunks that `length` bytes at `offset` touch; at least one byte.
pub fn chunks_of(offset: u64, length: u64) -> RangeInclusive<u64> {
    chunk_at(offset)..=chunk_at(offset + length.max(1) - 1)
}

/// The bytes of chunk `index` in a file of `file_size` bytes; empty beyond its end. The last chunk may be short.
pub fn chunk_range(index: u64, file_size: u64) -> Range<u64> {
    let (start, length) = match index {
        0 => (0, HEADER_BYTES),
        block => (HEADER_BYTES + (block - 1) * BLOCK_BYTES, BLOCK_BYTES),
    };
    start.min(file_size)..(start + length).min(file_size)
}

/// Where DuckDB's main header keeps its magic.
const MAGIC: Range<usize> = 8..12;
/// Where it keeps the file's identifier.
const IDENTIFIER: Range<usize> = 124..140;

/// The id that DuckDB gave the file whose first bytes these are. None if it is not a `DuckDB` file, or has a
/// storage version before v1.4.0, which has no id: attach with a `storage_version` of at least that.
pub fn database_id(first_bytes: &[u8]) -> Option<DatabaseId> {
    let identifier = <[u8; 16]>::try_from(first_bytes.get(IDENTIFIER)?).ok()?;
    (first_bytes.get(MAGIC)? == b"DUCK" && identifier != [0; 16]).then(|| DatabaseId::from_bytes(identifier))
}

/// A set of chunk indices (a bitmap: one bit per 256 KiB of file).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkSet {
    words: Vec<u64>,
}

impl ChunkSet {
    /// An empty set.
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Adds one chunk; true if it was not in the set.
    pub fn insert(&mut self, index: u64) -> bool {
        let (word, bit) = Self::locate(index);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let added = self.words[word] & bit == 0;
        self.words[word] |= bit;
        added
    }

    /// Removes one chunk.
    pub fn remove(&mut self, index: u64) {
        let (word, bit) = Self::locate(index);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    /// Adds every chunk that a write of `length` bytes at `offset` touches.
    pub fn insert_bytes(&mut self, offset: u64, length: u64) {
        if length > 0 {
            for index in chunks_of(offset, length) {
                self.insert(index);
            }
        }
    }

    /// Whether the chunk is in the set.
    pub fn contains(&self, index: u64) -> bool {
        let (word, bit) = Self::locate(index);
        self.words.get(word).is_some_and(|w| w & bit != 0)
    }

    /// Number of chunks in the set.
    pub fn len(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }

    /// Whether no chunk is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// Adds all of another set.
    pub fn union(&mut self, other: &Self) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// The chunks in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.iter_from(0)
    }

    /// The chunks from this one on, in ascending order.
    pub fn iter_from(&self, first: u64) -> impl Iterator<Item = u64> + '_ {
        (first..self.end()).filter(|index| self.contains(*index))
    }

    /// No chunk of the set is at or above this number.
    pub fn end(&self) -> u64 {
        self.words.len() as u64 * 64
    }

    /// Index is bounded by [`MAX_FILE_BYTES`] (2^26 chunks), so the conversion holds on every platform.
    fn locate(index: u64) -> (usize, u64) {
        (usize::try_from(index / 64).unwrap_or(usize::MAX - 1), 1 << (index % 64))
    }
}

impl FromIterator<u64> for ChunkSet {
    fn from_iter<I: IntoIterator<Item = u64>>(indices: I) -> Self {
        let mut set = Self::new();
        for index in indices {
            set.insert(index);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_file_without_gap_or_overlap() {
        for size in [0, 1, 12_287, 12_288, 12_289, 274_432, 274_433, 5_000_000] {
            let mut end = 0;
            for index in 0..chunk_count(size) {
                let range = chunk_range(index, size);
                assert_eq!(range.start, end);
                assert!(!range.is_empty());
                assert_eq!(chunk_at(range.start), index);
                assert_eq!(chunk_at(range.end - 1), index);
                end = range.end;
            }
            assert_eq!(end, size);
            assert!(chunk_range(chunk_count(size), size).is_empty());
        }
    }

    #[test]
    fn the_id_is_read_from_duckdbs_header() {
        let mut header = vec![0; 4_096];
        header[8..12].copy_from_slice(b"DUCK");
        assert_eq!(database_id(&header), None);
        header[124..140].copy_from_slice(&[7; 16]);
        assert_eq!(database_id(&header), Some(DatabaseId::from_bytes([7; 16])));
        header[8] = 0;
        assert_eq!(database_id(&header), None);
        assert_eq!(database_id(&header[..100]), None);
    }

    #[test]
    fn a_set_holds_what_was_inserted() {
        let mut set: ChunkSet = [3, 64, 200].into_iter().collect();
        assert!(!set.insert(3));
        set.insert_bytes(HEADER_BYTES - 1, 2);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 3, 64, 200]);
        assert_eq!(set.len(), 5);
        set.insert_bytes(0, 0);
        assert!(!set.contains(10_000));
        assert_eq!(set.iter_from(2).collect::<Vec<_>>(), [3, 64, 200]);
        set.remove(200);
        set.remove(10_000);
        assert_eq!(set.iter_from(64).collect::<Vec<_>>(), [64]);
        let mut other = ChunkSet::new();
        assert!(other.is_empty());
        other.union(&set);
        assert_eq!(other, set);
    }
}
