//! Points in a branch's history.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::identity::{BranchName, Lineage, ObjectId};

/// A commit boundary of one branch: a manifest, and how much of the WAL stream after it.
///
/// With `sequence` 0 the state is exactly the manifest's.
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
    /// Offset in the stream right after the last commit that belongs to it.
    pub offset: u64,
    /// Epoch of the stream: whoever took a sealed branch over writes a stream of its own after another's manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_epoch: Option<u64>,
}

impl Position {
    /// The manifest alone, without any WAL.
    #[must_use]
    pub fn base(&self) -> Self {
        Self { sequence: 0, offset: 0, stream_epoch: None, ..self.clone() }
    }

    /// The stream whose WAL belongs to it; none if it is the manifest alone.
    pub fn stream(&self) -> Option<StreamId> {
        let stream = |epoch| StreamId { lineage: self.lineage, epoch, manifest: self.manifest };
        self.stream_epoch.filter(|_| self.sequence > 0).map(stream)
    }
}

/// Id of the WAL stream that follows a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// History.
    pub lineage: Lineage,
    /// Epoch that writes the stream.
    pub epoch: u64,
    /// The manifest that it follows; 0 before the first publish.
    pub manifest: u64,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lineage, epoch, manifest } = self;
        write!(f, "{lineage}.{epoch}.{manifest}")
    }
}

/// Text that is not the name of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a stream")]
pub struct InvalidStream;

impl FromStr for StreamId {
    type Err = InvalidStream;
    fn from_str(text: &str) -> Result<Self, InvalidStream> {
        let wrong = || InvalidStream;
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or_else(wrong);
        let stream = Self {
            lineage: next()?.parse().map_err(|_| wrong())?,
            epoch: next()?.parse().map_err(|_| wrong())?,
            manifest: next()?.parse().map_err(|_| wrong())?,
        };
        // Numbers have one way to be written.
        if stream.to_string() == text { Ok(stream) } else { Err(wrong()) }
    }
}
