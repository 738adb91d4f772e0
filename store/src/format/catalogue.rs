//! Catalogue entries: one per snapshot of a tenant.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::Document;
use crate::identity::PutId;
use crate::position::Position;

/// Form in which a snapshot keeps its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum SnapshotData {
    /// By a pin on the tenant's own objects.
    Native {
        /// Key of the pin, relative to the tenant's prefix.
        pin: String,
    },
    /// As Parquet files outside the tenant's prefix.
    Parquet {
        /// The folder's key in the bucket.
        location: String,
    },
}

/// Content of `catalogue/<snapshot>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueEntry {
    /// Identity of the write.
    pub put_id: PutId,
    /// The snapshot's name.
    pub name: String,
    /// Uid of the Snapshot object, or of the scheduled run.
    pub uid: String,
    /// Uid of the object that took it, if another one has it by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    /// Where the data is.
    pub data: SnapshotData,
    /// The position that was taken.
    pub position: Position,
    /// Time of the last commit in it.
    pub last_commit: Option<Timestamp>,
    /// Size in bytes: of the database file (native) or of all parts (Parquet).
    pub size: u64,
    /// When the entry was written.
    pub created: Timestamp,
}

impl Document for CatalogueEntry {
    const FORMAT: &'static str = "roost-catalogue";
    const VERSION: u32 = 1;
    const LIMIT: u64 = 64 * 1024;
}
