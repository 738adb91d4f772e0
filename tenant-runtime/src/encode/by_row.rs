//! Formats that are written a row at a time.

use super::{
    cell::Cell,
    column::cells,
    encoder::{EncodeError, Encoder, Failure},
};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use roost_protocol::problem::Problem;

/// A format whose rows follow one another; what surrounds them is as an [`Encoder`]'s.
pub(super) trait RowFormat: Send {
    /// Writes what precedes the rows.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// Writes one row of these cells.
    fn row(&mut self, cells: &[Box<dyn Cell + '_>], row: usize, out: &mut Vec<u8>);
    /// Writes what follows the last row of a complete result.
    fn end(&mut self, rows_changed: Option<u64>, out: &mut Vec<u8>);
    /// Writes what follows the last row when the result is not complete.
    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) -> Failure;
}

/// The encoder of such a format.
pub(super) struct ByRow<F> {
    /// The format.
    pub format: F,
    /// Schema of the batches.
    pub schema: SchemaRef,
}

impl<F: RowFormat> Encoder for ByRow<F> {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.format.begin(out);
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
            self.format.row(&cells, row, out);
            row += 1;
        }
        Ok(row)
    }

    fn end(&mut self, rows_changed: Option<u64>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.format.end(rows_changed, out);
        Ok(())
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) -> Failure {
        self.format.fail(problem, out)
    }
}

/// Puts a comma before all cells but the first.
pub(super) fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}
