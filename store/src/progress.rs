//! How far work on many chunks is.

/// Progress of work on many chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Chunks done.
    pub chunks_done: u64,
    /// Chunks in all.
    pub chunks_total: u64,
    /// Bytes of the database file done.
    pub bytes_done: u64,
}
