//! What was written, as publishers and shippers see it.

use roost_store::{ChunkSet, stream::Tail};
use std::time::Duration;

/// What was written since the last freeze.
#[derive(Debug)]
pub(super) struct Changes {
    /// The WAL.
    pub(super) tail: Tail,
    /// When the oldest commit that is in no manifest was made.
    pub(super) first_commit: Option<jiff::Timestamp>,
    /// Since when a commit waits for a publish because replaying it is not proven, on the monotonic clock.
    pub(super) held_since: Option<Duration>,
    /// Commits that wait for one.
    pub(super) held: u64,
}

/// What one freeze took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Chunks written since the last freeze.
    pub chunks: ChunkSet,
    /// When the oldest commit among them was made.
    pub first_commit: Option<jiff::Timestamp>,
    /// Time of the last commit in the branch's history.
    pub last_commit: Option<jiff::Timestamp>,
    /// Whether anything was written.
    pub rotated: bool,
    /// Commits that no segment could take because replaying them is not proven.
    pub held: u64,
}

/// Commits that no segment has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncut {
    /// Time of the oldest.
    pub since: jiff::Timestamp,
    /// How many there are.
    pub commits: usize,
    /// Bytes of WAL, with those of a commit under way.
    pub wal_bytes: u64,
}

/// What no manifest holds yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpublished {
    /// When the oldest commit was made.
    pub since: Option<jiff::Timestamp>,
    /// Bytes of WAL.
    pub wal_bytes: u64,
    /// Commits.
    pub commits: u64,
    /// Segments.
    pub segments: u64,
    /// Chunks that these carry.
    pub carried: u64,
    /// Whether a commit waits that no segment can hold.
    pub needs_publish: bool,
    /// Since when a commit waits whose replay is not proven, on the monotonic clock.
    pub held_since: Option<Duration>,
    /// Whether the cache has to get rid of what no manifest holds.
    pub crowded: bool,
}
