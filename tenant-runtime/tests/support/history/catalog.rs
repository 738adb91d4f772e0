//! The catalog as a connection sees it in its transaction: what the next statement may name.

use super::observe::texts;
use roost_duckdb::Connection;
use serde::Deserialize;

/// A column. Names of generated ones begin with `g`.
#[derive(Clone, Debug, Deserialize)]
pub struct Column {
    pub name: String,
    /// As DuckDB writes it: `DECIMAL(9,2)`, `ENUM('a', 'b')`.
    pub r#type: String,
    pub has_default: bool,
    pub nullable: bool,
}

impl Column {
    pub fn is_generated(&self) -> bool {
        self.name.starts_with('g')
    }

    pub fn is_number(&self) -> bool {
        matches!(self.r#type.as_str(), "INTEGER" | "BIGINT" | "HUGEINT")
    }
}

/// A table.
#[derive(Clone, Debug, Deserialize)]
pub struct Table {
    pub schema: String,
    pub name: String,
    pub rows: u64,
    pub has_primary_key: bool,
    pub columns: Vec<Column>,
    /// Columns of its primary key and of its UNIQUE constraints.
    pub keys: Vec<Vec<String>>,
}

/// A thing in a schema.
#[derive(Clone, Debug, Deserialize)]
pub struct Named {
    pub schema: String,
    pub name: String,
}

/// What there is. Macros over numbers have names that begin with `mi`, over texts `ms`; those that are tables `mt`.
#[derive(Clone, Debug, Deserialize)]
pub struct Catalog {
    /// The schema of names that name none.
    pub current: String,
    pub schemas: Vec<String>,
    pub tables: Vec<Table>,
    pub views: Vec<Named>,
    pub indexes: Vec<Named>,
    pub sequences: Vec<Named>,
    pub types: Vec<Named>,
    /// As somebody saw them after the last statement that was about macros.
    #[serde(default)]
    pub macros: Vec<Named>,
}

/// Everything of the tenant's database, in one row of JSON. Lists are sorted: the same history reads the same.
const CATALOG: &str = "
WITH own AS (SELECT current_database() AS d),
columns AS (
    SELECT schema_name AS s, table_name AS t, list({name: column_name, type: data_type,
        has_default: column_default IS NOT NULL, nullable: is_nullable} ORDER BY column_index) AS c
    FROM duckdb_columns(), own WHERE database_name = d AND NOT internal GROUP BY ALL),
keys AS (
    SELECT schema_name AS s, table_name AS t, list(constraint_column_names ORDER BY constraint_index) AS k
    FROM duckdb_constraints(), own WHERE database_name = d AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
    GROUP BY ALL)
SELECT to_json({
    current: current_schema(),
    schemas: (SELECT coalesce(list(schema_name ORDER BY schema_name), []) FROM duckdb_schemas(), own
        WHERE database_name = d AND schema_name NOT IN ('information_schema', 'pg_catalog')),
    tables: (SELECT coalesce(list({schema: schema_name, name: table_name, rows: estimated_size,
            has_primary_key: has_primary_key, columns: c, keys: coalesce(k, [])}
            ORDER BY schema_name, table_name), [])
        FROM (FROM duckdb_tables(), own WHERE database_name = d) x
        JOIN columns ON columns.s = schema_name AND columns.t = table_name
        LEFT JOIN keys ON keys.s = schema_name AND keys.t = table_name),
    views: (SELECT coalesce(list({schema: schema_name, name: view_name} ORDER BY schema_name, view_name), [])
        FROM duckdb_views(), own WHERE database_name = d AND NOT internal),
    indexes: (SELECT coalesce(list({schema: schema_name, name: index_name} ORDER BY schema_name, index_name), [])
        FROM duckdb_indexes(), own WHERE database_name = d),
    sequences: (SELECT coalesce(list({schema: schema_name, name: sequence_name}
        ORDER BY schema_name, sequence_name), []) FROM duckdb_sequences(), own WHERE database_name = d),
    types: (SELECT coalesce(list({schema: schema_name, name: type_name} ORDER BY schema_name, type_name), [])
        FROM duckdb_types(), own WHERE database_name = d AND NOT internal)
})::VARCHAR";

/// Macros, in one row of JSON. DuckDB lists its own thousands of functions for it.
const MACROS: &str = "
SELECT to_json(coalesce(list(DISTINCT {schema: schema_name, name: function_name}
    ORDER BY {schema: schema_name, name: function_name}), []))::VARCHAR
FROM duckdb_functions() WHERE database_name = current_database() AND NOT internal";

impl Catalog {
    /// Reads it in the connection's transaction, if there is one; all but the macros.
    pub fn read(connection: &mut Connection) -> Result<Self, String> {
        read_json(connection, CATALOG)
    }

    /// Reads the macros.
    pub fn read_macros(connection: &mut Connection) -> Result<Vec<Named>, String> {
        read_json(connection, MACROS)
    }
}

fn read_json<T: serde::de::DeserializeOwned>(connection: &mut Connection, sql: &str) -> Result<T, String> {
    let rows = texts(connection, sql).map_err(|error| error.to_string())?;
    serde_json::from_str(&rows[0]).map_err(|error| format!("{error}: {}", rows[0]))
}
