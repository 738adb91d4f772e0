//! Results as bytes: one encoder for each format over the same stream of Arrow batches.

mod arrow;
pub mod cell;
mod csv;
mod json;
mod names;
mod ndjson;
mod nested;
mod plain;
mod scalar;
pub mod text;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use roost_engine::Column;
use roost_protocol::{problem::Problem, query::Format};
use std::sync::Arc;

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

/// How a failed result ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The error was written into the result, which is well formed.
    Told,
    /// The format has no place for an error: the transfer must be cut.
    Cut,
}

/// Writes one result: `begin`, any number of `rows`, then `end` or `fail`.
pub trait Encoder: Send {
    /// What precedes the rows.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    /// Writes rows from `from` on until `out` holds `limit` bytes or more; returns the first row not written.
    fn rows(
        &mut self,
        batch: &RecordBatch,
        from: usize,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, EncodeError>;
    /// What follows the last row of a complete result.
    fn end(&mut self, rows_changed: Option<u64>, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    /// What follows the last row when the result is not complete.
    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) -> Failure;
}

/// The encoder of a format for a result of these columns.
pub fn encoder(
    format: Format,
    columns: Vec<Column>,
    schema: SchemaRef,
) -> Result<Box<dyn Encoder>, EncodeError> {
    // A type that cannot be written is told before anything is sent.
    cells(&schema, &RecordBatch::new_empty(Arc::clone(&schema)))?;
    Ok(match format {
        Format::Json => Box::new(json::Json::new(columns, schema)),
        Format::Ndjson => Box::new(ndjson::Ndjson::new(&columns, schema)),
        Format::Csv => Box::new(csv::Csv::new(&columns, schema)),
        Format::Arrow => Box::new(arrow::ArrowStream::new(&columns, &schema)?),
    })
}

/// Cells of all columns of a batch.
fn cells<'a>(
    schema: &SchemaRef,
    batch: &'a RecordBatch,
) -> Result<Vec<Box<dyn cell::Cell + 'a>>, EncodeError> {
    schema.fields().iter().zip(batch.columns()).map(|(field, column)| cell::cell(field, column)).collect()
}

/// JSON of a value that is always representable.
fn write_json(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and what we pass has only string keys.
    let _ = serde_json::to_writer(out, value);
}
