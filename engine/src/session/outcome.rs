//! Outcome of a statement or a request.

/// Outcome of a statement or a request, known after its last batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that the last statement inserted, updated or deleted; none for other statements.
    pub rows_changed: Option<u64>,
    /// Rows that were streamed.
    pub rows_returned: u64,
    /// Whether a transaction that modified the tenant's database was committed.
    pub committed_writes: bool,
}
