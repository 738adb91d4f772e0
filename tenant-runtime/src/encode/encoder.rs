//! The interface that every format is written through.

use arrow_array::RecordBatch;
use roost_protocol::problem::Problem;

/// A result that cannot be written in the format asked for.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A type that no encoder knows.
    #[error("a result of {0} cannot be sent; cast the column to VARCHAR")]
    Unsupported(String),
    /// The encoder's thread ended early.
    #[error("the result could not be encoded: {0}")]
    Stopped(String),
    /// Arrow's own writer refused.
    #[error("the Arrow writer refused the result: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
}

/// End of a result that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The error was written into the result, which is well formed.
    Told,
    /// The format has no place for an error: the transfer must be cut.
    Cut,
}

/// Writes one result: `begin`, any number of `rows`, then `end` or `fail`.
pub trait Encoder: Send {
    /// Writes what precedes the rows.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    /// Writes rows from `from` on until `out` holds `limit` bytes or more; returns the first row not written.
    fn rows(
        &mut self,
        batch: &RecordBatch,
        from: usize,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, EncodeError>;
    /// Writes what follows the last row of a complete result.
    fn end(&mut self, rows_changed: Option<u64>, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    /// Writes what follows the last row when the result is not complete.
    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) -> Failure;
}

/// JSON of a value that is always representable.
pub(super) fn write_json(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and what we pass has only string keys.
    let _ = serde_json::to_writer(out, value);
}
