//! Changes to a database's files, as publishers and shippers see them.

use roost_store::{ChunkSet, stream::Tail};
use std::time::Duration;

/// Changes since the last freeze.
#[derive(Debug)]
pub(super) struct Changes {
    /// The WAL.
    pub(super) tail: Tail,
    /// Time of the oldest commit that is in no manifest.
    pub(super) first_commit: Option<jiff::Timestamp>,
    /// Since when a commit waits for a publish because replaying it is not proven, on the monotonic clock.
    pub(super) held_since: Option<Duration>,
    /// Number of commits whose replay is not proven.
    pub(super) held: u64,
}

/// Changes that one freeze took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Chunks written since the last freeze.
    pub chunks: ChunkSet,
    /// Time of the oldest commit among them.
    pub first_commit: Option<jiff::Timestamp>,
    /// Time of the last commit in the branch's history.
    pub last_commit: Option<jiff::Timestamp>,
    /// Whether a new WAL began: if anything was written, or one had to begin.
    pub rotated: bool,
    /// Number of commits that no segment could take because replaying them is not proven.
    pub held: u64,
}

/// Commits that no segment has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncut {
    /// Time of the oldest.
    pub since: jiff::Timestamp,
    /// Number of commits.
    pub commits: usize,
    /// Bytes of WAL, with those of a commit under way.
    pub wal_bytes: u64,
}

/// Age and amount of what no manifest holds yet, and whether a publish is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpublished {
    /// Time of the oldest commit.
    pub since: Option<jiff::Timestamp>,
    /// Bytes of WAL.
    pub wal_bytes: u64,
    /// Commits.
    pub commits: u64,
    /// Segments.
    pub segments: u64,
    /// Chunks that the segments carry.
    pub carried: u64,
    /// Whether a commit waits that no segment can hold, or a publish has begun and not succeeded.
    pub needs_publish: bool,
    /// Since when a commit waits whose replay is not proven, on the monotonic clock.
    pub held_since: Option<Duration>,
    /// Whether the cache has to get rid of what no manifest holds.
    pub crowded: bool,
}
