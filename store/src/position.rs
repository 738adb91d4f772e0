//! Points in a branch's history.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::{BranchName, Lineage, ObjectId};

/// A commit boundary of one branch: a manifest, and how much of the WAL stream after it.
///
/// Until WAL shipping exists, `sequence` and `offset` are 0: the state is exactly the manifest's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The branch whose folder holds the manifest.
    pub branch: BranchName,
    /// That branch's history.
    pub lineage: Lineage,
    /// Epoch that wrote the manifest.
    pub epoch: u64,
    /// Number of the manifest within the lineage; the first is 1.
    pub manifest: u64,
    /// Random part of the manifest's name.
    pub id: ObjectId,
    /// Segments of the stream after the manifest that belong to the position.
    pub sequence: u64,
    /// Bytes of WAL in those segments.
    pub offset: u64,
}

/// Id of the WAL stream that follows a manifest. Its objects come with WAL shipping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// History.
    pub lineage: Lineage,
    /// Epoch that writes the stream.
    pub epoch: u64,
    /// The manifest that it follows; 0 before the first publish.
    pub manifest: u64,
}

/// Where a parent manifest's stream ended, kept in its child so that readers of the past need no LIST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamEnd {
    /// The stream.
    pub stream: StreamId,
    /// Last sequence number that holds data; 0 if none.
    pub sequence: u64,
    /// Bytes of WAL.
    pub length: u64,
    /// blake3 of those bytes, hexadecimal; empty if there are none.
    pub hash: String,
}

/// A position together with the time of the last commit in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatedPosition {
    /// The position.
    pub position: Position,
    /// Time of the last commit in it, if the database knew one.
    pub last_commit: Option<Timestamp>,
}
