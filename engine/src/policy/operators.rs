//! Logical operators, and what some of them may name.
use super::rules::{OWN_DATABASES, Rules, refuse};
use roost_duckdb::{Operator, OperatorDetail, Refusal};

/// Logical operators that may occur (DuckDB's names of them). Not here: ATTACH, DETACH, LOAD, EXPORT,
/// COPY_TO_FILE, COPY_DATABASE, CREATE_SECRET, UPDATE_EXTENSIONS, CUSTOM_OP.
pub const OPERATORS: [&str; 54] = [
    "AGGREGATE",
    "ALTER",
    "ANY_JOIN",
    "ASOF_JOIN",
    "CHUNK_GET",
    "COMPARISON_JOIN",
    "CREATE_INDEX",
    "CREATE_MACRO",
    "CREATE_SCHEMA",
    "CREATE_SEQUENCE",
    "CREATE_TABLE",
    "CREATE_TYPE",
    "CREATE_VIEW",
    "CROSS_PRODUCT",
    "CTE",
    "CTE_SCAN",
    "DELETE",
    "DELIM_GET",
    "DELIM_JOIN",
    "DEPENDENT_JOIN",
    "DISTINCT",
    "DROP",
    "DUMMY_SCAN",
    "EMPTY_RESULT",
    "EXCEPT",
    "EXECUTE",
    "EXPLAIN",
    "EXPRESSION_GET",
    "FILTER",
    "GET",
    "INSERT",
    "INTERSECT",
    "JOIN",
    "LIMIT",
    "MATERIALIZED_CTE",
    "MERGE_INTO",
    "ORDER_BY",
    "PIVOT",
    "POSITIONAL_JOIN",
    "PRAGMA",
    "PREPARE",
    "PROJECTION",
    "REC_CTE",
    "RECURSIVE_CTE",
    "RESET",
    "SAMPLE",
    "SET",
    "TOP_N",
    "TRANSACTION",
    "UNION",
    "UNNEST",
    "UPDATE",
    "VACUUM",
    "WINDOW",
];

/// Kinds of objects that may be created, dropped and altered (DuckDB's names of catalog types).
pub const CREATABLE: [&str; 9] = [
    "Index",
    "Macro Function",
    "Prepared Statement",
    "Schema",
    "Sequence",
    "Table",
    "Table Macro Function",
    "Type",
    "View",
];

pub(super) fn judge(rules: Rules<'_>, operator: &Operator) -> Result<(), Refusal> {
    if !OPERATORS.contains(&operator.kind.as_str()) {
        let name = operator.kind.replace('_', " ");
        return refuse("operator", format!("{name} is not available"));
    }
    match &operator.detail {
        // The only thing to alter of an index is its comment.
        OperatorDetail::Alter { kind, name } if kind == "Index" => refuse(
            "comment-on-index",
            format!(
                "COMMENT ON INDEX is not available: the engine would lose the index {} if it were rolled back. Comment on \
                 its table instead",
                name.name
            ),
        ),
        OperatorDetail::Create { kind, name, .. }
        | OperatorDetail::Drop { kind, name }
        | OperatorDetail::Alter { kind, name } => {
            if !CREATABLE.contains(&kind.as_str()) {
                return refuse("object", format!("Objects of the kind {kind} are not available"));
            }
            own_database(rules, &name.catalog)
        }
        OperatorDetail::Modify(table) => own_database(rules, &table.catalog),
        OperatorDetail::None
        | OperatorDetail::Scan { .. }
        | OperatorDetail::Transaction(_)
        | OperatorDetail::Setting(_)
        | OperatorDetail::Pragma { .. }
        | OperatorDetail::Prepare { .. }
        | OperatorDetail::Execute { .. }
        | OperatorDetail::Explain { .. }
        | OperatorDetail::Vacuum { .. } => Ok(()),
        other => refuse("operator", format!("{other:?} is not available")),
    }
}

/// Refuses a write to a database that is neither the tenant's nor one of [`OWN_DATABASES`].
fn own_database(rules: Rules<'_>, catalog: &str) -> Result<(), Refusal> {
    if catalog.is_empty() || catalog == rules.database || OWN_DATABASES.contains(&catalog) {
        return Ok(());
    }
    refuse("foreign-database", format!("Writes to the database {catalog} are not available"))
}
