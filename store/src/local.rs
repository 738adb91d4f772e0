//! The running database, as shipping and publishing need it.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::chunk::ChunkSet;
use crate::format::FormatError;
use crate::identity::DatabaseId;

/// Why a database is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// The first one of an owner that may not ship before: a new WAL begins in any case. Writers go on after it.
    First,
    /// Writers go on after the freeze.
    Publish,
    /// The last freeze: the write gate stays closed for ever.
    Seal,
}

/// A checkpointed state of the file, and which chunks changed since the last freeze.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// Size of the main file in bytes.
    pub file_size: u64,
    /// Chunks written since the last freeze (or since hydration). Chunks beyond the last manifest's file
    /// need not be in it. A chunk beyond `file_size` is ignored.
    pub dirty: ChunkSet,
    /// DuckDB's id of the file.
    pub database_id: DatabaseId,
    /// Time of the last commit in this state, if there was one since the database was opened.
    pub last_commit: Option<Timestamp>,
    /// Chunks that opening the file reads; worth fetching before anything is asked for.
    pub boot: ChunkSet,
    /// Whether the WAL that follows is a new one. False only if nothing was written since the last freeze, and it was
    /// not the first.
    pub rotated: bool,
    /// Version of the engine that wrote the file, such as `1.5.6`.
    pub engine_version: String,
    /// Storage version of the file, such as `v1.5.0`.
    pub storage_version: String,
}

/// The local database could not do its part.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the local database: {message}")]
pub struct LocalError {
    /// Account of what happened.
    pub message: String,
    /// Whether the same call may succeed later.
    pub may_retry: bool,
}

impl LocalError {
    /// An error that time may heal.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), may_retry: true }
    }
    /// An error that ends this process's use of the database.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), may_retry: false }
    }
}

impl From<FormatError> for LocalError {
    /// Bytes that could not be made into an object.
    fn from(error: FormatError) -> Self {
        Self::lasting(error.to_string())
    }
}

/// The running database, as its publisher sees it. Implemented by the runtime over engine and file system.
#[async_trait]
pub trait LocalDatabase: Send + Sync {
    /// Closes the write gate, waits until no [`crate::stream::Cut`] is being shipped, checkpoints, swaps the dirty set
    /// for an empty one, begins a new WAL, and (unless sealing) opens the gate again. Whatever is cut later is of the
    /// new WAL. On an error the dirty set is as it was. Not called again before what it returned is published.
    async fn freeze(&self, purpose: Freeze) -> Result<Frozen, LocalError>;

    /// Reads `length` bytes of the chunk `index` of the main file. Called after `freeze`, while writers may
    /// run; chunks that the frozen state refers to are not rewritten before the next checkpoint.
    async fn read_chunk(&self, index: u64, length: usize) -> Result<Bytes, LocalError>;

    /// Reads bytes of the WAL that a [`crate::stream::Cut`] names.
    async fn read_wal(&self, range: Range<u64>) -> Result<Bytes, LocalError>;
}
