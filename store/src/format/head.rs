//! HEAD: the one mutable object of a branch.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::Document;
use crate::identity::{BranchName, Holder, Lineage, PutId};
use crate::position::{Position, StreamId};

/// Content of `branches/<branch>/HEAD`. Changed only by compare-and-swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Identity of the write that made this version.
    pub put_id: PutId,
    /// The branch.
    pub branch: BranchName,
    /// Uid of the Branch object that it was created for; none for main.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Name of that object: whoever has rights on this name has them on the branch. None for main, and where an earlier
    /// release made it: see [`Head::object_name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Its history.
    pub lineage: Lineage,
    /// Grows with every takeover; whoever wrote the highest may write.
    pub epoch: u64,
    /// The holder that took over last; none before the first takeover, and of a deleted branch.
    pub holder: Option<Holder>,
    /// Last publish of this lineage; none before the first.
    pub manifest: Option<Position>,
    /// Where a branch that has not published yet starts; none for an empty database.
    pub source: Option<Position>,
    /// The WAL stream after the manifest. After a takeover without a seal it stays that of the owner before, until
    /// the first publish.
    pub stream: Option<StreamId>,
    /// Whether the holder ended by itself: the manifest is the whole state.
    pub sealed: bool,
    /// Whether the branch is deleted. Its HEAD stays until another branch takes the name: a request to create it that
    /// was long on its way finds the place taken.
    #[serde(default, rename = "deleting", skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Time of the last commit in `manifest` (or `source`).
    pub last_commit: Option<Timestamp>,
}

impl Document for Head {
    const FORMAT: &'static str = "roost-head";
    const VERSION: u32 = 2;
    const LIMIT: u64 = 64 * 1024;
    /// Readers of version 1 take the manifest for the whole state, which it is only of a sealed branch.
    fn version(&self) -> u32 {
        if self.sealed { 1 } else { 2 }
    }
}

impl Head {
    /// Name of the Branch object that the branch belongs to. Where none is recorded it is the branch's own, which is what
    /// an object's branchName is by default.
    pub fn object_name(&self) -> &str {
        self.object.as_deref().unwrap_or(self.branch.as_str())
    }
    /// The state that opening this branch gives: its last publish, else where it starts; none if empty.
    pub fn state(&self) -> Option<&Position> {
        self.manifest.as_ref().or(self.source.as_ref())
    }
    /// Number of the last manifest of this lineage; 0 before the first publish.
    pub fn number(&self) -> u64 {
        self.manifest.as_ref().map_or(0, |m| m.manifest)
    }
}
