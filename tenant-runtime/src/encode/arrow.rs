//! `application/vnd.apache.arrow.stream`: Arrow IPC. Without its end-of-stream mark a result is not complete.

use super::{
    encoder::{EncodeError, Encoder, Failure},
    plain::{plain_columns, plain_field},
};
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Fields, Schema, SchemaRef};
use roost_engine::Column;
use roost_protocol::problem::Problem;
use std::sync::Arc;

/// Metadata key of a field with DuckDB's text of the column's type.
const TYPE_KEY: &str = "duckdb:type";

/// Arrow IPC stream.
pub struct ArrowStream {
    received: Fields,
    sent: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowStream {
    /// An encoder for a result of these columns.
    pub fn new(columns: &[Column], schema: &SchemaRef) -> Result<Self, EncodeError> {
        let received = schema.fields().clone();
        let sent = received
            .iter()
            .zip(columns)
            .map(|(field, column)| {
                let plain = plain_field(field)?;
                let mut metadata = plain.metadata().clone();
                metadata.insert(TYPE_KEY.into(), column.logical_type.clone());
                Ok(Arc::new(plain.with_metadata(metadata)))
            })
            .collect::<Result<Fields, EncodeError>>()?;
        let sent = Arc::new(Schema::new(sent));
        let writer = StreamWriter::try_new(Vec::new(), &sent)?;
        Ok(Self { received, sent, writer })
    }

    fn take_written(&mut self, out: &mut Vec<u8>) {
        out.append(self.writer.get_mut());
    }
}

impl Encoder for ArrowStream {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.take_written(out);
        Ok(())
    }

    fn rows(
        &mut self,
        batch: &RecordBatch,
        from: usize,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, EncodeError> {
        // So many rows that they fill the limit, as the batch's average has it.
        let room = limit.saturating_sub(out.len()).max(1);
        let per_row = batch.get_array_memory_size() / batch.num_rows().max(1);
        let count = (room / per_row.max(1)).clamp(1, (batch.num_rows() - from).max(1));
        let rows = batch.slice(from, count.min(batch.num_rows() - from));
        let columns = plain_columns(&self.received, self.sent.fields(), rows.columns())?;
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        self.writer.write(&RecordBatch::try_new_with_options(Arc::clone(&self.sent), columns, &options)?)?;
        self.take_written(out);
        Ok(from + rows.num_rows())
    }

    fn end(&mut self, _rows_changed: Option<u64>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.writer.finish()?;
        self.take_written(out);
        Ok(())
    }

    fn fail(&mut self, _problem: &Problem, _out: &mut Vec<u8>) -> Failure {
        Failure::Cut
    }
}
