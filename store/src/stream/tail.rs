//! The end of a running database's WAL: written since the last cut, until the next segment takes it.
//!
//! The file system tells it every write and sync, in their order. It holds offsets and chunk numbers, no bytes.

use std::collections::VecDeque;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use crate::chunk::{ChunkSet, chunk_at};
use crate::format::segment::{Commit, MAX_CARRIED_CHUNKS, MAX_SEGMENT_COMMITS, MAX_SEGMENT_WAL};
use crate::mutation::{Mutation, broken};

/// A commit's place in the WAL of one owner: the number of the manifest that the WAL follows, then the offset right
/// after the commit. Later commits have higher ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn {
    /// Number of the manifest.
    pub manifest: u64,
    /// Offset in the WAL in bytes.
    pub offset: u64,
}

/// The content of the next segment.
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

/// Whether a commit may be left to a replay of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Replaying its bytes gives what was committed.
    Proven,
    /// That is not proven: no segment may hold it, and a manifest has to.
    Unproven,
}

/// The database did something that no protocol can carry. The process must exit.
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
    replay: Replay,
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
    commits: u64,
    segments: u64,
    pending: VecDeque<Pending>,
    last_commit: Option<Timestamp>,
    /// Chunks written since the main file was last synced.
    written: ChunkSet,
    /// Chunks synced since the last commit: the next commit depends on them.
    synced: ChunkSet,
    /// Chunks that segments of this stream carry.
    carried: ChunkSet,
    /// The last commit of the WAL before this one.
    before: Option<Lsn>,
}

impl Tail {
    /// The empty WAL after a manifest; `last_commit` is the time of the last commit in the branch's history.
    pub fn new(manifest: u64, last_commit: Option<Timestamp>) -> Self {
        Self::after(manifest, 0, last_commit)
    }

    /// A WAL of which `length` bytes are in the bucket, left by an owner before. Only a checkpoint may follow.
    pub fn after(manifest: u64, length: u64, last_commit: Option<Timestamp>) -> Self {
        Self {
            manifest,
            length,
            cut: length,
            commits: 0,
            segments: 0,
            pending: VecDeque::new(),
            last_commit,
            written: ChunkSet::new(),
            synced: ChunkSet::new(),
            carried: ChunkSet::new(),
            before: None,
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
    pub fn wal_synced(&mut self, now: Timestamp, file_size: u64, replay: Replay) -> Lsn {
        if self.length > self.last_boundary() {
            let next = self.last_commit.map(|last| last + SignedDuration::from_micros(1));
            let time = next.filter(|_| !broken(Mutation::TimeFromTheClock)).map_or(now, |next| next.max(now));
            self.last_commit = Some(time);
            let chunks = std::mem::take(&mut self.synced);
            let commit = Commit { end: self.length, time };
            self.commits += 1;
            self.pending.push_back(Pending { commit, chunks, file_size, replay, last_of_segment: false });
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

    /// The last commit: that of the WAL before as long as there is none in this one.
    pub fn committed(&self) -> Lsn {
        let here = Lsn { manifest: self.manifest, offset: self.last_boundary() };
        if here.offset > 0 { here } else { self.before.unwrap_or(here) }
    }

    /// Time of the last commit in the branch's history.
    pub fn last_commit(&self) -> Option<Timestamp> {
        self.last_commit
    }

    /// Bytes of WAL that no segment has taken yet.
    pub fn backlog(&self) -> u64 {
        self.length - self.cut
    }

    /// Time of the first commit that no segment has taken yet.
    pub fn oldest_pending(&self) -> Option<Timestamp> {
        self.pending.front().map(|first| first.commit.time)
    }

    /// Commits that no segment has taken yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Commits in this WAL.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Cuts of this WAL.
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// Chunks that they carry.
    pub fn carried(&self) -> u64 {
        self.carried.len()
    }

    /// Bytes of WAL.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether the next commit is one that no segment may hold. Only a publish makes it durable, and what follows it.
    pub fn needs_publish(&self) -> bool {
        self.pending.front().is_some_and(|first| {
            first.replay == Replay::Unproven
                || first.commit.end - self.cut > MAX_SEGMENT_WAL as u64
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
            let fits = next.replay == Replay::Proven
                && next.commit.end - base <= target
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
        if broken(Mutation::DropCarriedChunks) {
            chunks = ChunkSet::new();
        }
        if broken(Mutation::ShipPastTheBoundary) {
            self.cut = self.length;
        }
        self.segments += u64::from(!commits.is_empty());
        let wal = base..self.cut;
        (!commits.is_empty()).then_some(Cut { manifest: self.manifest, wal, commits, chunks, file_size })
    }

    /// A checkpoint put everything into the main file: the WAL of the next manifest begins. What no segment took
    /// becomes durable with that manifest.
    pub fn rotate(&mut self) {
        let before = Some(self.committed());
        *self = Self { before, ..Self::new(self.manifest + 1, self.last_commit) };
    }

    fn last_boundary(&self) -> u64 {
        self.pending.back().map_or(self.cut, |last| last.commit.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: u64 = 10 * 274_432;

    fn at(microsecond: i64) -> Timestamp {
        Timestamp::from_microsecond(microsecond).unwrap()
    }

    fn tail() -> Tail {
        Tail::new(7, Some(at(100)))
    }

    /// Appends and commits `length` bytes.
    fn commit(tail: &mut Tail, length: u64) -> Lsn {
        tail.wal_written(tail.length(), length).unwrap();
        tail.wal_synced(at(0), MAIN, Replay::Proven)
    }

    fn chunks(cut: &Cut) -> Vec<u64> {
        cut.chunks.iter().collect()
    }

    #[test]
    fn a_cut_takes_whole_commits_up_to_its_target() {
        let mut tail = tail();
        assert_eq!(tail.cut(1_000), None);
        for length in [30, 30, 30] {
            commit(&mut tail, length);
        }
        tail.wal_written(90, 5).unwrap();
        let cut = tail.cut(60).unwrap();
        assert_eq!((cut.manifest, cut.wal.clone(), cut.commits.len()), (7, 0..60, 2));
        // One commit is taken however long it is, and nothing of one that has not ended.
        assert_eq!(tail.cut(1).unwrap().wal, 60..90);
        assert_eq!(tail.cut(1_000), None);
        assert_eq!((tail.backlog(), tail.pending()), (5, 0));
        assert_eq!(tail.committed(), Lsn { manifest: 7, offset: 90 });
    }

    #[test]
    fn commit_times_never_go_back() {
        let mut tail = tail();
        for now in [50, 500, 400] {
            tail.wal_written(tail.length(), 1).unwrap();
            tail.wal_synced(at(now), MAIN, Replay::Proven);
            // A sync of nothing new is no commit.
            tail.wal_synced(at(now + 1_000), MAIN, Replay::Proven);
        }
        let times: Vec<_> = tail.cut(u64::MAX).unwrap().commits.iter().map(|commit| commit.time).collect();
        assert_eq!(times, [at(101), at(500), at(501)]);
        tail.rotate();
        assert_eq!(commit(&mut tail, 1), Lsn { manifest: 8, offset: 1 });
        assert_eq!(tail.last_commit(), Some(at(502)));
    }

    #[test]
    fn only_chunks_that_were_synced_before_a_commit_go_with_it() {
        let mut tail = tail();
        tail.main_written(12_288, 262_144);
        tail.main_synced();
        // Of a transaction that is still open.
        tail.main_written(12_288 + 262_144, 262_144);
        commit(&mut tail, 10);
        assert_eq!(chunks(&tail.cut(u64::MAX).unwrap()), [1]);
        commit(&mut tail, 10);
        assert_eq!(chunks(&tail.cut(u64::MAX).unwrap()), [0_u64; 0]);
        tail.main_synced();
        commit(&mut tail, 10);
        assert_eq!(chunks(&tail.cut(u64::MAX).unwrap()), [2]);
    }

    #[test]
    fn a_carried_chunk_that_is_written_again_ends_the_segment_before() {
        let mut tail = tail();
        tail.main_written(12_288, 1);
        tail.main_synced();
        commit(&mut tail, 10);
        assert_eq!(chunks(&tail.cut(u64::MAX).unwrap()), [1]);
        commit(&mut tail, 10);
        tail.main_written(12_288, 1);
        tail.main_synced();
        commit(&mut tail, 10);
        assert_eq!(tail.cut(u64::MAX).unwrap().wal, 10..20);
        let last = tail.cut(u64::MAX).unwrap();
        assert_eq!((last.wal.clone(), chunks(&last)), (20..30, vec![1]));
    }

    #[test]
    fn a_failed_commit_may_take_back_only_its_own_bytes() {
        let mut tail = tail();
        commit(&mut tail, 10);
        tail.wal_written(10, 7).unwrap();
        tail.wal_truncated(10).unwrap();
        assert_eq!(tail.wal_truncated(9), Err(TailError::Truncated { length: 9, commit: 10 }));
        assert_eq!(tail.wal_written(11, 1), Err(TailError::NotAppended { offset: 11, end: 10 }));
        commit(&mut tail, 5);
        assert_eq!(tail.cut(u64::MAX).unwrap().wal, 0..15);
    }

    #[test]
    fn a_commit_that_no_segment_holds_waits_for_a_publish() {
        let mut tail = tail();
        commit(&mut tail, 10);
        commit(&mut tail, MAX_SEGMENT_WAL as u64 + 1);
        assert_eq!(tail.cut(u64::MAX).unwrap().wal, 0..10);
        assert!(tail.needs_publish());
        assert_eq!(tail.cut(u64::MAX), None);
        tail.rotate();
        assert!(!tail.needs_publish());
        // It is durable with the next manifest, and not before.
        assert_eq!(tail.committed(), Lsn { manifest: 7, offset: 11 + MAX_SEGMENT_WAL as u64 });
    }

    #[test]
    fn nothing_is_cut_from_a_commit_on_that_cannot_be_replayed() {
        let mut tail = tail();
        commit(&mut tail, 10);
        tail.wal_written(10, 5).unwrap();
        let held = tail.wal_synced(at(0), MAIN, Replay::Unproven);
        commit(&mut tail, 10);
        assert!(!tail.needs_publish());
        assert_eq!(tail.cut(u64::MAX).unwrap().wal, 0..10);
        assert!(tail.needs_publish());
        assert_eq!(tail.cut(u64::MAX), None);
        let last = tail.committed();
        tail.rotate();
        assert!(!tail.needs_publish());
        // Both are durable with the next manifest, and what follows goes into its stream.
        assert_eq!((held.manifest, tail.committed()), (7, last));
        commit(&mut tail, 4);
        assert_eq!(tail.cut(u64::MAX).unwrap().wal, 0..4);
    }

    #[test]
    fn what_was_durable_before_a_rotation_is_so_after_it() {
        let mut tail = tail();
        let last = commit(&mut tail, 10);
        tail.cut(u64::MAX).unwrap();
        tail.rotate();
        tail.rotate();
        assert_eq!(tail.committed(), last);
        assert_eq!(commit(&mut tail, 3), Lsn { manifest: 9, offset: 3 });
    }
}
