//! `application/x-ndjson`: one object a row; a failed result ends with `{"error": problem}`.

use super::{
    by_row::RowFormat,
    cell::Cell,
    encoder::{Failure, write_json},
    names,
};
use roost_engine::Column;
use roost_protocol::problem::Problem;

/// One JSON object a line.
pub struct Ndjson {
    /// Unique names as JSON, each with its colon.
    names: Vec<Vec<u8>>,
}

impl Ndjson {
    /// An encoder for a result of these columns.
    pub fn new(columns: &[Column]) -> Self {
        let names = names::unique(columns)
            .iter()
            .map(|name| {
                let mut prefix = Vec::new();
                write_json(name, &mut prefix);
                prefix.push(b':');
                prefix
            })
            .collect();
        Self { names }
    }
}

impl RowFormat for Ndjson {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn row(&mut self, cells: &[Box<dyn Cell + '_>], row: usize, out: &mut Vec<u8>) {
        for (at, (name, cell)) in self.names.iter().zip(cells).enumerate() {
            out.push(if at == 0 { b'{' } else { b',' });
            out.extend_from_slice(name);
            cell.write_json_or_null(row, out);
        }
        out.extend_from_slice(b"}\n");
    }

    fn end(&mut self, _rows_changed: Option<u64>, _out: &mut Vec<u8>) {}

    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) -> Failure {
        out.extend_from_slice(b"{\"error\":");
        write_json(problem, out);
        out.extend_from_slice(b"}\n");
        Failure::Told
    }
}
