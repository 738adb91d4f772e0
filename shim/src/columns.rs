//! Kinds of results, and their columns.

/// Kind of result that a statement gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Returns {
    /// Rows.
    Rows,
    /// One row with the number of rows changed.
    ChangedRows,
    /// Nothing.
    Nothing,
}

impl Returns {
    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Rows,
            1 => Self::ChangedRows,
            _ => Self::Nothing,
        }
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name; not necessarily unique.
    pub name: String,
    /// DuckDB's own text of the type: `DECIMAL(18,3)`, `STRUCT(a INTEGER, b VARCHAR[])`.
    pub logical_type: String,
}

pub(crate) fn columns(pairs: Vec<(String, String)>) -> Vec<Column> {
    pairs.into_iter().map(|(name, logical_type)| Column { name, logical_type }).collect()
}
