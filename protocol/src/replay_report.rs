//! The report of a worker that tried how far a branch's WAL can be replayed.

use crate::position::Position;
use serde::{Deserialize, Serialize};

/// Report on how far a branch opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayReport {
    /// Version of the engine that tried.
    pub engine_version: String,
    /// Commits in the WAL after the manifest.
    pub commits: u64,
    /// Number of them that open.
    pub replayed: u64,
    /// The last commit that opens; that of the manifest if `replayed` is 0.
    pub opens: CheckedCommit,
    /// The next one, which does not; none if everything opens.
    pub fails: Option<CheckedCommit>,
    /// The engine's error at that one, or how the engine died.
    pub error: Option<String>,
    /// The last commit of the WAL.
    pub end: CheckedCommit,
}

/// A commit, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedCommit {
    /// Its time in RFC 3339, as a Branch names it that is to begin with it.
    pub time: String,
    /// Where it ends.
    pub position: Position,
}

impl ReplayReport {
    /// Whether all of the branch opens.
    pub const fn is_clean(&self) -> bool {
        self.fails.is_none()
    }
}
