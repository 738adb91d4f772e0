//! Manifests: one complete state of a branch.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::json::Document;
use crate::chunk::{MAX_FILE_BYTES, chunk_count};
use crate::identity::{BranchName, DatabaseId, Lineage, ObjectId, PutId};
use crate::position::{Position, StreamEnd};

/// Most pages of a manifest (each addresses 1 GiB of file).
pub const MAX_PAGES: usize = 16_384;
/// Most ancestors: the depth of branches of branches.
pub const MAX_LINEAGES: usize = 256;

/// A page as its manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageRef {
    /// The page's name in `pages/`.
    pub name: super::name::ObjectName,
    /// blake3 of the whole object, hexadecimal.
    pub hash: String,
}

/// Content of `branches/<branch>/manifests/<number>-<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Identity of the write.
    pub put_id: PutId,
    /// The branch.
    pub branch: BranchName,
    /// Its history.
    pub lineage: Lineage,
    /// Epoch that wrote it.
    pub epoch: u64,
    /// Its number in the lineage; the first is 1.
    pub number: u64,
    /// Random part of its name.
    pub id: ObjectId,
    /// The state before it: the previous manifest, or the point where the branch started.
    pub parent: Option<Position>,
    /// Where the parent's WAL stream ended.
    pub parent_end: Option<StreamEnd>,
    /// This lineage first, then its ancestors: whose packs and pages it may refer to.
    pub lineages: Vec<Lineage>,
    /// Size of the main file in bytes.
    pub file_size: u64,
    /// DuckDB's id of the file.
    pub database_id: DatabaseId,
    /// Version of the engine that wrote the file.
    pub engine_version: String,
    /// Storage version of the file.
    pub storage_version: String,
    /// Where the chunks are, 4,096 per page, in order.
    pub pages: Vec<PageRef>,
    /// Chunks worth fetching before anything is asked for: what opening the file reads. Only a hint.
    pub boot: Vec<u64>,
    /// Time of the last commit in it.
    pub last_commit: Option<Timestamp>,
    /// When it was written, for people.
    pub written: Timestamp,
}

impl Document for Manifest {
    const FORMAT: &'static str = "roost-manifest";
    const VERSION: u32 = 1;
    const LIMIT: u64 = 8 * 1024 * 1024;
}

impl Manifest {
    /// The position that this manifest is, without any WAL.
    pub fn position(&self) -> Position {
        Position {
            branch: self.branch.clone(),
            lineage: self.lineage,
            epoch: self.epoch,
            manifest: self.number,
            id: self.id,
            sequence: 0,
            offset: 0,
            stream_epoch: None,
        }
    }

    /// Checks what the checksum cannot: that the members agree with each other.
    pub fn check(&self) -> Result<(), FormatError> {
        let damaged = |what: &str| Err(FormatError::Damaged(what.into()));
        let pages = chunk_count(self.file_size).div_ceil(super::page::CHUNKS_PER_PAGE);
        if self.file_size > MAX_FILE_BYTES || pages != self.pages.len() as u64 || self.pages.len() > MAX_PAGES
        {
            return damaged("its pages do not cover its file size");
        }
        if self.lineages.first() != Some(&self.lineage) || self.lineages.len() > MAX_LINEAGES {
            return damaged("its list of lineages does not begin with its own");
        }
        if self.number == 0 {
            return damaged("its number is 0");
        }
        Ok(())
    }
}
