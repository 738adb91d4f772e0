//! Results as bytes: one encoder for each format over the same stream of Arrow batches.

mod arrow;
mod by_row;
mod cell;
pub mod column;
mod csv;
mod encoder;
mod json;
mod names;
mod ndjson;
mod nested;
mod plain;
mod scalar;
pub mod text;

pub use encoder::{EncodeError, Encoder, Failure};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use by_row::ByRow;
use roost_engine::Column;
use roost_protocol::query::Format;
use std::sync::Arc;

/// The encoder of a format for a result of these columns.
pub fn encoder(
    format: Format,
    columns: Vec<Column>,
    schema: SchemaRef,
) -> Result<Box<dyn Encoder>, EncodeError> {
    // A type that cannot be written is told before anything is sent.
    column::cells(&schema, &RecordBatch::new_empty(Arc::clone(&schema)))?;
    Ok(match format {
        Format::Json => Box::new(ByRow { format: json::Json::new(columns), schema }),
        Format::Ndjson => Box::new(ByRow { format: ndjson::Ndjson::new(&columns), schema }),
        Format::Csv => Box::new(ByRow { format: csv::Csv::new(&columns), schema }),
        Format::Arrow => Box::new(arrow::ArrowStream::new(&columns, &schema)?),
    })
}
