//! `application/json`: one document; `complete` or `error` is its last member.

use super::{
    by_row::{RowFormat, separate},
    cell::Cell,
    encoder::{Failure, write_json},
};
use roost_engine::Column;
use roost_protocol::{problem::Problem, query::AnswerColumn};

/// A [`roost_protocol::query::QueryAnswer`], written as its parts arrive.
pub struct Json {
    columns: Vec<AnswerColumn>,
    first_row: bool,
}

impl Json {
    /// An encoder for a result of these columns.
    pub fn new(columns: Vec<Column>) -> Self {
        let columns = columns
            .into_iter()
            .map(|column| AnswerColumn { name: column.name, logical_type: column.logical_type })
            .collect();
        Self { columns, first_row: true }
    }
}

impl RowFormat for Json {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"columns\":[");
        for (at, column) in self.columns.iter().enumerate() {
            separate(at, out);
            write_json(column, out);
        }
        out.extend_from_slice(b"],\"rows\":[");
    }

    fn row(&mut self, cells: &[Box<dyn Cell + '_>], row: usize, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.first_row) {
            out.push(b',');
        }
        out.extend_from_slice(b"\n[");
        for (at, cell) in cells.iter().enumerate() {
            separate(at, out);
            cell.write_json_or_null(row, out);
        }
        out.push(b']');
    }

    fn end(&mut self, rows_changed: Option<u64>, out: &mut Vec<u8>) {
        out.push(b']');
        if let Some(rows) = rows_changed {
            out.extend_from_slice(b",\"rowsChanged\":");
            write_json(&rows, out);
        }
        out.extend_from_slice(b",\"complete\":true}\n");
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) -> Failure {
        out.extend_from_slice(b"],\"error\":");
        write_json(problem, out);
        out.extend_from_slice(b"}\n");
        Failure::Told
    }
}
