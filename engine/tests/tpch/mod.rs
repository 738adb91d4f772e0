//! TPC-H: the schema, a small data set made by SQL, and the 22 queries with their validation parameters.

/// The eight tables.
pub const SCHEMA: &str = include_str!("schema.sql");
/// Fills them: 20,000 line items.
pub const DATA: &str = include_str!("data.sql");

/// The queries, 1 to 22.
pub fn queries() -> Vec<&'static str> {
    include_str!("queries.sql").split(";\n").map(str::trim).filter(|sql| !sql.is_empty()).collect()
}
