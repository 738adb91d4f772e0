//! A prepared statement as its client knows it.
use super::executor::Plan;
use roost_duckdb::{Parameter, Prepared, Returns, StatementKind};
use std::sync::{Arc, Mutex};

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Column {
    /// Name; not necessarily unique.
    pub name: String,
    /// DuckDB's text of the type (`DECIMAL(18,3)`); encoders decode by it.
    pub logical_type: String,
}

impl Column {
    pub(super) fn of(column: &roost_duckdb::Column) -> Self {
        Self { name: column.name.clone(), logical_type: column.logical_type.clone() }
    }
}

/// A statement that was bound and judged, to be executed any number of times in its session.
#[derive(Clone)]
pub struct Statement {
    pub(super) prepared: Arc<Mutex<Prepared>>,
    pub(super) plan: Plan,
    /// Kind of the statement.
    pub kind: StatementKind,
    /// Its parameters in their order, with the types that it expects.
    pub parameters: Vec<Parameter>,
    /// Columns of its result; empty where it has none, or where they depend on parameters whose type nothing tells.
    pub columns: Vec<Column>,
    /// Kind of result that it gives back.
    pub returns: Returns,
    /// Whether executing it may modify the tenant's database; such an execution holds the write gate.
    pub writes: bool,
    /// Whether its rows are made as they are read; otherwise DuckDB holds all of them.
    pub streams: bool,
}

impl Statement {
    pub(super) fn new(prepared: Prepared, plan: Plan, writes: bool) -> Self {
        Self {
            plan,
            kind: prepared.kind(),
            parameters: prepared.parameters().to_vec(),
            columns: prepared.columns().iter().map(Column::of).collect(),
            returns: prepared.returns(),
            writes,
            streams: prepared.streams(),
            prepared: Arc::new(Mutex::new(prepared)),
        }
    }
}
