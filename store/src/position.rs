//! Points in a branch's history.

use jiff::Timestamp;
pub use roost_protocol::position::{Position, StreamId};
use serde::{Deserialize, Serialize};

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
