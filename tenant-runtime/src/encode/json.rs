//! `application/json`: one document; `complete` or `error` is its last member.

use super::{
    column::cells,
    encoder::{EncodeError, Encoder, Failure, write_json},
};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use roost_engine::Column;
use roost_protocol::problem::Problem;

/// `{"columns":[{"name","type"}],"rows":[[...]],"complete":true}`.
pub struct Json {
    columns: Vec<Column>,
    schema: SchemaRef,
    first_row: bool,
}

impl Json {
    /// An encoder for a result of these columns.
    pub fn new(columns: Vec<Column>, schema: SchemaRef) -> Self {
        Self { columns, schema, first_row: true }
    }
}

impl Encoder for Json {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"{\"columns\":[");
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"name\":");
            write_json(&column.name, out);
            out.extend_from_slice(b",\"type\":");
            write_json(&column.logical_type, out);
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"rows\":[");
        Ok(())
    }

    fn rows(
        &mut self,
        batch: &RecordBatch,
        from: usize,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, EncodeError> {
        let cells = cells(&self.schema, batch)?;
        let mut row = from;
        while row < batch.num_rows() && out.len() < limit {
            if !std::mem::take(&mut self.first_row) {
                out.push(b',');
            }
            out.extend_from_slice(b"\n[");
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                cell.write_json_or_null(row, out);
            }
            out.push(b']');
            row += 1;
        }
        Ok(row)
    }

    fn end(&mut self, rows_changed: Option<u64>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(b']');
        if let Some(rows) = rows_changed {
            out.extend_from_slice(b",\"rowsChanged\":");
            write_json(&rows, out);
        }
        out.extend_from_slice(b",\"complete\":true}\n");
        Ok(())
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) -> Failure {
        out.extend_from_slice(b"],\"error\":");
        write_json(problem, out);
        out.extend_from_slice(b"}\n");
        Failure::Told
    }
}
