//! What a running database wrote since the last cut, until its next segment takes it.
//!
//! The file system tells it every write and sync, in their order. It holds offsets and chunk numbers, no bytes.

use std::collections::VecDeque;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use crate::chunk::{ChunkSet, chunk_at};
use crate::format::segment::{Commit, MAX_CARRIED_CHUNKS, MAX_SEGMENT_COMMITS, MAX_SEGMENT_WAL};

/// A commit's place in the WAL of one owner: the number of the manifest that the WAL follows, then the offset right
/// after the commit. Later commits have higher ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn {
    /// Number of the manifest.
    pub manifest: u64,
    /// Offset in the WAL in bytes.
    pub offset: u64,
}

/// What the next segment is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Number of the manifest that the WAL follows.
    pub manifest: u64,
    /// The bytes of the WAL.
    pub wal: Range<u64>,
    /// The commits that end in them.
    pub commits: Vec<Commit>,
    /// The chunks of the main file that must be in the bucket with them.
    pub chunks: ChunkSet,
    /// Size in bytes of the main file at the last commit.
    pub file_size: u64,
}

/// What the database did that no protocol can carry. The process must exit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// The WAL was cut below a commit.
    #[error("the WAL was truncated to {length} bytes, below its last commit at {commit}")]
    Truncated {
        /// Its new length.
        length: u64,
        /// End of the last commit.
        commit: u64,
    },
    /// The WAL was not written at its end.
    #[error("the WAL was written at {offset}, its end is {end}")]
    NotAppended {
        /// Where it was written.
        offset: u64,
        /// Its length before.
        end: u64,
    },
}

#[derive(Debug)]
struct Pending {
    commit: Commit,
    chunks: ChunkSet,
    file_size: u64,
    /// Whether a chunk that this stream already carries was written again after this commit: a later commit needs
    /// another content of it, so this one must be the last of its segment.
    last_of_segment: bool,
}

/// The end of the WAL.
#[derive(Debug)]
pub struct Tail {
    manifest: u64,
    length: u64,
    cut: u64,
    pending: VecDeque<Pending>,
    last_commit: Option<Timestamp>,
    /// Written since the main file was last synced.
    written: ChunkSet,
    /// Synced since the last commit: the next one depends on them.
    synced: ChunkSet,
    /// In segments of this stream.
    carried: ChunkSet,
}

impl Tail {
    /// The empty WAL after a manifest; `last_commit` is the time of the last commit in the branch's history.
    pub fn new(manifest: u64, last_commit: Option<Timestamp>) -> Self {
        Self {
            manifest,
            length: 0,
            cut: 0,
            pending: VecDeque::new(),
            last_commit,
            written: ChunkSet::new(),
            synced: ChunkSet::new(),
            carried: ChunkSet::new(),
        }
    }

    /// `length` bytes were written to the WAL at `offset`.
    pub fn wal_written(&mut self, offset: u64, length: u64) -> Result<(), TailError> {
        if offset != self.length {
            return Err(TailError::NotAppended { offset, end: self.length });
        }
        self.length += length;
        Ok(())
    }

    /// The WAL was synced: what it holds is committed, at `now` or right after the commit before it.
    pub fn wal_synced(&mut self, now: Timestamp, file_size: u64) -> Lsn {
        if self.length > self.last_boundary() {
            let next = self.last_commit.map(|last| last + SignedDuration::from_micros(1));
            let time = next.map_or(now, |next| next.max(now));
            self.last_commit = Some(time);
            let chunks = std::mem::take(&mut self.synced);
            let commit = Commit { end: self.length, time };
            self.pending.push_back(Pending { commit, chunks, file_size, last_of_segment: false });
        }
        self.committed()
    }

    /// The WAL was cut to `length` bytes: a commit failed.
    pub fn wal_truncated(&mut self, length: u64) -> Result<(), TailError> {
        let commit = self.last_boundary();
        if length < commit {
            return Err(TailError::Truncated { length, commit });
        }
        self.length = self.length.min(length);
        Ok(())
    }

    /// `length` bytes of the main file were written at `offset`.
    pub fn main_written(&mut self, offset: u64, length: u64) {
        if length == 0 {
            return;
        }
        for index in chunk_at(offset)..=chunk_at(offset + length - 1) {
            self.written.insert(index);
            if self.carried.contains(index)
                && let Some(last) = self.pending.back_mut()
            {
                last.last_of_segment = true;
            }
        }
    }

    /// The main file was synced: the next commit depends on what was written to it.
    pub fn main_synced(&mut self) {
        self.synced.union(&std::mem::take(&mut self.written));
    }

    /// The last commit.
    pub fn committed(&self) -> Lsn {
        Lsn { manifest: self.manifest, offset: self.last_boundary() }
    }

    /// Time of the last commit in the branch's history.
    pub fn last_commit(&self) -> Option<Timestamp> {
        self.last_commit
    }

    /// Bytes of WAL that no segment has taken yet.
    pub fn backlog(&self) -> u64 {
        self.length - self.cut
    }

    /// Bytes of WAL.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether the next commit is more than a segment holds. Only a publish makes it durable.
    pub fn needs_publish(&self) -> bool {
        self.pending.front().is_some_and(|first| {
            first.commit.end - self.cut > MAX_SEGMENT_WAL as u64
                || first.chunks.len() > MAX_CARRIED_CHUNKS as u64
        })
    }

    /// Takes the commits of the next segment, of about `target` bytes of WAL. None if there is none, or if
    /// [`Self::needs_publish`].
    pub fn cut(&mut self, target: u64) -> Option<Cut> {
        if self.needs_publish() {
            return None;
        }
        let (target, base) = (target.min(MAX_SEGMENT_WAL as u64), self.cut);
        let (mut commits, mut chunks, mut file_size) = (Vec::new(), ChunkSet::new(), 0);
        while let Some(next) = self.pending.front() {
            let fits = next.commit.end - base <= target
                && chunks.len() + next.chunks.len() <= MAX_CARRIED_CHUNKS as u64
                && commits.len() < MAX_SEGMENT_COMMITS;
            if !commits.is_empty() && !fits {
                break;
            }
            let Some(taken) = self.pending.pop_front() else { break };
            chunks.union(&taken.chunks);
            file_size = taken.file_size;
            self.cut = taken.commit.end;
            commits.push(taken.commit);
            if taken.last_of_segment {
                break;
            }
        }
        self.carried.union(&chunks);
        let wal = base..self.cut;
        (!commits.is_empty()).then_some(Cut { manifest: self.manifest, wal, commits, chunks, file_size })
    }

    /// A checkpoint put everything into the main file: the WAL of the next manifest begins. What no segment took
    /// becomes durable with that manifest.
    pub fn rotate(&mut self) {
        *self = Self::new(self.manifest + 1, self.last_commit);
    }

    fn last_boundary(&self) -> u64 {
        self.pending.back().map_or(self.cut, |last| last.commit.end)
    }
}
