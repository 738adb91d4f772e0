//! `text/csv`: RFC 4180 with a header line. NULL is an empty field, an empty text is `""`.

use super::{
    by_row::{RowFormat, separate},
    cell::Cell,
    encoder::Failure,
};
use roost_engine::Column;
use roost_protocol::problem::Problem;

/// Comma-separated values.
pub struct Csv {
    header: Vec<String>,
}

impl Csv {
    /// An encoder for a result of these columns.
    pub fn new(columns: &[Column]) -> Self {
        Self { header: columns.iter().map(|column| column.name.clone()).collect() }
    }
}

/// Puts quotes around what was written since `start`, if a reader would misunderstand it without.
fn quote_since(start: usize, out: &mut Vec<u8>) {
    let field = &out[start..];
    let plain = !field.is_empty()
        && !field.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r'))
        && field.first() != Some(&b' ')
        && field.last() != Some(&b' ');
    if plain {
        return;
    }
    let field = out.split_off(start);
    out.push(b'"');
    for byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

impl RowFormat for Csv {
    fn begin(&mut self, out: &mut Vec<u8>) {
        for (at, name) in self.header.iter().enumerate() {
            separate(at, out);
            let start = out.len();
            out.extend_from_slice(name.as_bytes());
            quote_since(start, out);
        }
        if !self.header.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
    }

    fn row(&mut self, cells: &[Box<dyn Cell + '_>], row: usize, out: &mut Vec<u8>) {
        for (at, cell) in cells.iter().enumerate() {
            separate(at, out);
            if !cell.is_null(row) {
                let start = out.len();
                cell.write_text(row, out);
                quote_since(start, out);
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    fn end(&mut self, _rows_changed: Option<u64>, _out: &mut Vec<u8>) {}

    fn fail(&mut self, _problem: &Problem, _out: &mut Vec<u8>) -> Failure {
        Failure::Cut
    }
}

#[cfg(test)]
mod tests {
    use super::quote_since;

    #[test]
    fn only_what_needs_quotes_gets_them() {
        for (field, expected) in [
            ("a", "a"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" padded", "\" padded\""),
        ] {
            let mut out = b"before,".to_vec();
            out.extend_from_slice(field.as_bytes());
            quote_since(7, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("before,{expected}"));
        }
    }
}
