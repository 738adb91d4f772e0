//! `text/csv`: RFC 4180 with a header line. NULL is an empty field, an empty text is `""`.

use super::{
    column::cells,
    encoder::{EncodeError, Encoder, Failure},
};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use roost_engine::Column;
use roost_protocol::problem::Problem;

/// Comma-separated values.
pub struct Csv {
    header: Vec<String>,
    schema: SchemaRef,
}

impl Csv {
    /// An encoder for a result of these columns.
    pub fn new(columns: &[Column], schema: SchemaRef) -> Self {
        Self { header: columns.iter().map(|column| column.name.clone()).collect(), schema }
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

impl Encoder for Csv {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for (at, name) in self.header.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let start = out.len();
            out.extend_from_slice(name.as_bytes());
            quote_since(start, out);
        }
        if !self.header.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
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
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                if !cell.is_null(row) {
                    let start = out.len();
                    cell.write_text(row, out);
                    quote_since(start, out);
                }
            }
            out.extend_from_slice(b"\r\n");
            row += 1;
        }
        Ok(row)
    }

    fn end(&mut self, _rows_changed: Option<u64>, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }

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
