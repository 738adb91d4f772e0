//! Reports of workers: what a pod that served nobody has done.

use crate::position::Position;
use serde::{Deserialize, Serialize};

/// Report of a worker, by its task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Report {
    /// Of a snapshot that was written as Parquet.
    Snapshot(SnapshotReport),
    /// Of how far a branch opens.
    Replay(Box<ReplayReport>),
}

/// Report on a finished snapshot: the part of its `metadata.json` that fits into a pod's last words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotReport {
    /// Version of DuckDB.
    pub engine_version: String,
    /// When all files were there, in RFC 3339.
    pub completed_at: String,
    /// Number of tables.
    pub table_count: u64,
    /// Rows of all tables.
    pub row_count: u64,
    /// Bytes of all files.
    pub size: u64,
    /// Its largest tables, as many as there is room for.
    pub largest_tables: Vec<ReportedTable>,
}

/// One table of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedTable {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub name: String,
    /// Number of its rows.
    pub rows: u64,
    /// Bytes of its files.
    pub size: u64,
}

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
