//! Progress of long work, for whoever waits for it.

/// Progress of work on many chunks, or of a collection, which counts the objects that it deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Chunks (objects) done.
    pub done: u64,
    /// Chunks (objects) in all.
    pub total: u64,
    /// Bytes of the database file (of deleted objects) done.
    pub bytes: u64,
}
