//! Pins: objects that keep a position alive; and the lists of what a collector is about to delete.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::Document;
use crate::identity::PutId;
use crate::position::Position;

/// Purpose of a pin: what it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PinKind {
    /// A native snapshot.
    Snapshot,
    /// The point where a branch started.
    Branch,
    /// A reader under way: an export, a restore.
    Reader,
}

impl PinKind {
    /// The purpose as it appears in the key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Branch => "branch",
            Self::Reader => "reader",
        }
    }
}

/// Content of `pins/<kind>-<name>-<random>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// Identity of the write; also the random part of the name.
    pub put_id: PutId,
    /// Its purpose.
    pub kind: PinKind,
    /// Name of what it serves.
    pub name: String,
    /// Uid of what it serves (a branch's lineage, a snapshot's uid, anything unique).
    pub uid: String,
    /// The position that it keeps alive.
    pub position: Position,
    /// When it was written.
    pub created: Timestamp,
}

impl Document for Pin {
    const FORMAT: &'static str = "roost-pin";
    const VERSION: u32 = 1;
    const LIMIT: u64 = 64 * 1024;
}

/// Content of `condemned/<run>`: keys, relative to the tenant's prefix, that a collector will delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condemned {
    /// Identity of the write.
    pub put_id: PutId,
    /// The keys.
    pub keys: Vec<String>,
}

impl Document for Condemned {
    const FORMAT: &'static str = "roost-condemned";
    const VERSION: u32 = 1;
    const LIMIT: u64 = 8 * 1024 * 1024;
}
