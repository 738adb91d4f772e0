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
    #[serde(default)]
    pub columns: Vec<Column>,
    /// Columns of its primary key and of its UNIQUE constraints.
    #[serde(default)]
    pub keys: Vec<Vec<String>>,
}

/// Something of a table.
#[derive(Deserialize)]
struct OfTable<T> {
    schema: String,
    table: String,
    what: T,
}

/// A thing in a schema.
#[derive(Clone, Debug, Deserialize)]
pub struct Named {
    pub schema: String,
    pub name: String,
}

/// All that there is in a database. Macros over numbers have names that begin with `mi`, over texts `ms`; those that
/// are tables `mt`.
#[derive(Clone, Debug)]
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
    pub macros: Vec<Named>,
}

const TABLES: &str = "{schema: schema_name, name: table_name, rows: estimated_size, \
                      has_primary_key: has_primary_key}";
const COLUMNS: &str = "{schema: schema_name, \"table\": table_name, what: {name: column_name, type: data_type, \
                       has_default: column_default IS NOT NULL, nullable: is_nullable}}";
const KEYS: &str = "{schema: schema_name, \"table\": table_name, what: constraint_column_names}";

impl Catalog {
    /// Reads it in the connection's transaction, if there is one; all but the macros. Lists are sorted: the same history
    /// reads the same.
    pub fn read(connection: &mut Connection) -> Result<Self, String> {
        let current = texts(connection, "SELECT current_schema()").map_err(|error| error.to_string())?;
        let mut catalog = Self {
            current: current.into_iter().next().unwrap_or_default(),
            schemas: read(
                connection,
                ("schema_name", "schemas"),
                "schema_name NOT IN ('information_schema', 'pg_catalog')",
                "schema_name",
            )?,
            tables: read(connection, (TABLES, "tables"), "NOT internal", "schema_name, table_name")?,
            views: named(connection, "view", "views", "NOT internal")?,
            indexes: named(connection, "index", "indexes", "true")?,
            sequences: named(connection, "sequence", "sequences", "true")?,
            types: named(connection, "type", "types", "NOT internal")?,
            macros: Vec::new(),
        };
        let columns: Vec<OfTable<Column>> =
            read(connection, (COLUMNS, "columns"), "NOT internal", "schema_name, table_name, column_index")?;
        for OfTable { schema, table, what } in columns {
            catalog.table_mut(&schema, &table, |table| table.columns.push(what));
        }
        let keys: Vec<OfTable<Vec<String>>> = read(
            connection,
            (KEYS, "constraints"),
            "constraint_type IN ('PRIMARY KEY', 'UNIQUE')",
            "schema_name, table_name, constraint_index",
        )?;
        for OfTable { schema, table, what } in keys {
            catalog.table_mut(&schema, &table, |table| table.keys.push(what));
        }
        Ok(catalog)
    }

    /// Reads the macros: DuckDB lists its own thousands of functions for it.
    pub fn read_macros(connection: &mut Connection) -> Result<Vec<Named>, String> {
        // One of several forms is there several times.
        let mut macros: Vec<Named> = named(connection, "function", "functions", "NOT internal")?;
        macros.dedup_by(|a, b| (&a.schema, &a.name) == (&b.schema, &b.name));
        Ok(macros)
    }

    /// Views have columns, too.
    fn table_mut(&mut self, schema: &str, name: &str, change: impl FnOnce(&mut Table)) {
        let found = self.tables.iter_mut().find(|table| table.schema == schema && table.name == name);
        if let Some(table) = found {
            change(table);
        }
    }
}

fn named(connection: &mut Connection, kind: &str, of: &str, which: &str) -> Result<Vec<Named>, String> {
    let what = format!("{{schema: schema_name, name: {kind}_name}}");
    read(connection, (&what, of), which, &format!("schema_name, {kind}_name"))
}

/// Reads things of the tenant's database; `what` is the JSON made of each.
fn read<T: serde::de::DeserializeOwned>(
    connection: &mut Connection,
    (what, of): (&str, &str),
    which: &str,
    order: &str,
) -> Result<Vec<T>, String> {
    let sql = format!(
        "SELECT to_json({what})::VARCHAR FROM duckdb_{of}() \
         WHERE database_name = current_database() AND {which} ORDER BY {order}"
    );
    let rows = texts(connection, &sql).map_err(|error| error.to_string())?;
    rows.iter().map(|row| serde_json::from_str(row).map_err(|error| format!("{error}: {row}"))).collect()
}
