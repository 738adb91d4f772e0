//! Reads the script with which EXPORT DATABASE says which file holds which table:
//! `COPY "my s".t FROM '/spool/my_s_t.parquet' (FORMAT 'parquet', COMPRESSION 'zstd');`

/// One COPY of the script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub schema: String,
    pub table: String,
    pub path: String,
}

/// All parts in their order, which is one in which the tables can be loaded; `None` when it is not understood.
pub(super) fn parse(script: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = script.trim_start();
    while !rest.is_empty() {
        let (first, after) = identifier(rest.strip_prefix("COPY ")?)?;
        let (schema, table, after) = match after.strip_prefix('.') {
            Some(after) => {
                let (second, after) = identifier(after)?;
                (first, second, after)
            }
            None => ("main".to_owned(), first, after),
        };
        let (path, after) = enclosed(after.strip_prefix(" FROM ")?, '\'')?;
        let end = after.find(");")?;
        rest = after.get(end + 2..)?.trim_start();
        parts.push(Part { schema, table, path });
    }
    Some(parts)
}

/// An identifier, quoted or not, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        return enclosed(text, '"');
    }
    let end = text.find(['.', ' '])?;
    Some((text.get(..end)?.to_owned(), text.get(end..)?))
}

/// Text in quotes (doubled inside), and what follows it.
fn enclosed(text: &str, quote: char) -> Option<(String, &str)> {
    let inner = text.strip_prefix(quote)?;
    let mut value = String::new();
    let mut characters = inner.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        if character != quote {
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            return Some((value, inner.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_read() {
        let options = "(FORMAT 'parquet', COMPRESSION 'zstd');";
        let script = format!(
            "COPY t FROM '/s/t.parquet' {options}\nCOPY \"my s\".\"a\"\"b.c\nd\" FROM '/it''s/x.parquet' {options}\n\
             COPY other.t FROM '/s/o.parquet' {options}\n"
        );
        let part = |schema: &str, table: &str, path: &str| Part {
            schema: schema.into(),
            table: table.into(),
            path: path.into(),
        };
        let expected = vec![
            part("main", "t", "/s/t.parquet"),
            part("my s", "a\"b.c\nd", "/it's/x.parquet"),
            part("other", "t", "/s/o.parquet"),
        ];
        assert_eq!(parse(&script), Some(expected));
        assert_eq!(parse("\n"), Some(Vec::new()));
        for broken in ["DROP t", "COPY t FROM 'x", "COPY \"t FROM 'x' (a);", "COPY t FROM 'x' (a)"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
