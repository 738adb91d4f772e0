//! Choice of chunks to fetch before they are asked for: scans read on, point lookups do not.

use std::ops::{Range, RangeInclusive};

/// Scans followed at a time: each thread of a query may have one per column.
const STREAMS: usize = 32;
/// Chunks that a scan may skip and still be one: other columns lie between those it reads.
const GAP: u64 = 4;
/// Chunks fetched ahead when a scan is first seen.
const FIRST_WINDOW: u64 = 4;

/// Follows scans by the chunks that they read.
#[derive(Debug)]
pub(super) struct ReadAhead {
    streams: Vec<Stream>,
    largest: u64,
    turn: u64,
}

#[derive(Debug)]
struct Stream {
    /// The chunk after the last one read.
    next: u64,
    /// Chunks to be fetched ahead; 0 until it is a scan.
    window: u64,
    /// The chunk after the last one fetched.
    fetched: u64,
    last_used: u64,
}

impl ReadAhead {
    /// Fetches at most `largest` chunks ahead; none if that is 0.
    pub(super) fn new(largest: u64) -> Self {
        Self { streams: Vec::new(), largest, turn: 0 }
    }

    /// Chunks were read that were not there, or that the last advice ended with: what to fetch next. Wants to be told when the
    /// first of these is read.
    pub(super) fn read(&mut self, chunks: &RangeInclusive<u64>) -> Option<Range<u64>> {
        self.turn += 1;
        let (first, next) = (*chunks.start(), *chunks.end() + 1);
        let follows = |stream: &Stream| (stream.next..=stream.next + GAP.max(stream.window)).contains(&first);
        let Some(stream) = self.streams.iter_mut().find(|stream| follows(stream)) else {
            self.begin(next);
            return None;
        };
        stream.window =
            (stream.window * 2).clamp(FIRST_WINDOW, FIRST_WINDOW.max(self.largest)).min(self.largest);
        stream.next = next;
        stream.last_used = self.turn;
        let from = stream.fetched.max(next);
        let to = next + stream.window;
        // Too little to be worth a request: the next read will ask again.
        if to < from + stream.window.div_ceil(2) || from >= to {
            return None;
        }
        stream.fetched = to;
        Some(from..to)
    }

    fn begin(&mut self, next: u64) {
        let stream = Stream { next, window: 0, fetched: next, last_used: self.turn };
        if self.streams.len() < STREAMS {
            self.streams.push(stream);
        } else if let Some(oldest) = self.streams.iter_mut().min_by_key(|stream| stream.last_used) {
            *oldest = stream;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_fetched_further_and_further_ahead() {
        let mut ahead = ReadAhead::new(16);
        assert_eq!(ahead.read(&(10..=10)), None, "one read is no scan");
        assert_eq!(ahead.read(&(11..=11)), Some(12..16));
        assert_eq!(ahead.read(&(12..=12)), Some(16..21));
        assert_eq!(ahead.read(&(16..=16)), Some(21..33));
        assert_eq!(ahead.read(&(21..=21)), None, "enough is on its way");
        assert_eq!(ahead.read(&(33..=33)), Some(34..50));
    }

    #[test]
    fn lookups_here_and_there_fetch_nothing_ahead() {
        let mut ahead = ReadAhead::new(32);
        for index in [5, 900, 40, 7_000, 300, 77, 3_000] {
            assert_eq!(ahead.read(&(index..=index)), None);
        }
    }

    #[test]
    fn several_scans_are_followed_at_a_time() {
        let mut ahead = ReadAhead::new(8);
        for start in [100, 200, 300] {
            assert_eq!(ahead.read(&(start..=start + 1)), None);
        }
        for start in [300, 100, 200] {
            assert_eq!(ahead.read(&(start + 4..=start + 4)), Some(start + 5..start + 9), "a gap is no end");
        }
    }

    #[test]
    fn it_can_be_off() {
        let mut ahead = ReadAhead::new(0);
        assert!((0..10).all(|index| ahead.read(&(index..=index)).is_none()));
    }
}
