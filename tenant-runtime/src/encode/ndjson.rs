//! `application/x-ndjson`: one object a row; a failed result ends with `{"error": problem}`.

use super::{
    column::cells,
    encoder::{EncodeError, Encoder, Failure, write_json},
    names,
};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use roost_engine::Column;
use roost_protocol::problem::Problem;

/// One JSON object a line.
pub struct Ndjson {
    /// Unique names as JSON, each with its colon.
    names: Vec<Vec<u8>>,
    schema: SchemaRef,
}

impl Ndjson {
    /// An encoder for a result of these columns.
    pub fn new(columns: &[Column], schema: SchemaRef) -> Self {
        let names = names::unique(columns)
            .iter()
            .map(|name| {
                let mut prefix = Vec::new();
                write_json(name, &mut prefix);
                prefix.push(b':');
                prefix
            })
            .collect();
        Self { names, schema }
    }
}

impl Encoder for Ndjson {
    fn begin(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
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
            for (at, (name, cell)) in self.names.iter().zip(&cells).enumerate() {
                out.push(if at == 0 { b'{' } else { b',' });
                out.extend_from_slice(name);
                cell.write_json_or_null(row, out);
            }
            out.extend_from_slice(b"}\n");
            row += 1;
        }
        Ok(row)
    }

    fn end(&mut self, _rows_changed: Option<u64>, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) -> Failure {
        out.extend_from_slice(b"{\"error\":");
        write_json(problem, out);
        out.extend_from_slice(b"}\n");
        Failure::Told
    }
}
