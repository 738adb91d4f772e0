//! Catalog of an export: its tables with their columns and keys, and all comments.
use super::error::ExportError;
use super::summary::{ExportedColumn, ExportedKey};
use crate::quoting::{literal, quoted};
use crate::search_path::within;
use arrow_array::cast::AsArray;
use roost_duckdb::Connection;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;

/// Schema and name.
type TableName = (String, String);

/// Tables with their columns and keys, and the statements that set their comments.
pub(super) struct Catalog {
    pub tables: BTreeMap<TableName, (Vec<ExportedColumn>, Vec<ExportedKey>)>,
    pub comments: Vec<String>,
}

#[derive(Deserialize)]
struct ColumnRow {
    schema_name: String,
    table_name: String,
    column_name: String,
    data_type: String,
    is_nullable: bool,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct ObjectRow {
    kind: String,
    schema_name: String,
    name: String,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct KeyRow {
    schema_name: String,
    table_name: String,
    constraint_type: String,
    constraint_column_names: Vec<String>,
}

#[derive(Deserialize)]
struct FileRow {
    file_name: String,
    num_rows: u64,
}

impl Catalog {
    /// Reads it from within the database: what CHECKs call is looked for where the connection is.
    pub fn read(connection: &mut Connection, database: &str) -> Result<Self, ExportError> {
        let read = within(connection, database, |connection| Self::read_here(connection, database));
        read.map_err(|source| ExportError::Engine { step: "read the catalog".into(), source })?
    }

    fn read_here(connection: &mut Connection, database: &str) -> Result<Self, ExportError> {
        let of = literal(database);
        let objects: Vec<ObjectRow> = rows(
            connection,
            &format!(
                "SELECT 'TABLE' AS kind, schema_name, table_name AS name, comment FROM system.main.duckdb_tables() \
                 WHERE database_name = {of} AND NOT internal AND NOT temporary UNION ALL \
                 SELECT 'VIEW', schema_name, view_name, comment FROM system.main.duckdb_views() \
                 WHERE database_name = {of} AND NOT internal AND NOT temporary"
            ),
        )?;
        let columns: Vec<ColumnRow> = rows(
            connection,
            &format!(
                "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM system.main.duckdb_columns() \
                 WHERE database_name = {of} AND NOT internal ORDER BY schema_name, table_name, column_index"
            ),
        )?;
        let keys: Vec<KeyRow> = rows(
            connection,
            &format!(
                "SELECT schema_name, table_name, constraint_type, constraint_column_names FROM system.main.duckdb_constraints() \
                 WHERE database_name = {of} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY') \
                 ORDER BY schema_name, table_name, constraint_index"
            ),
        )?;
        Ok(Self::assemble(objects, columns, keys))
    }

    fn assemble(objects: Vec<ObjectRow>, columns: Vec<ColumnRow>, keys: Vec<KeyRow>) -> Self {
        let mut catalog = Self { tables: BTreeMap::new(), comments: Vec::new() };
        for object in objects {
            let name = format!("{}.{}", quoted(&object.schema_name), quoted(&object.name));
            catalog.comment(&object.kind, &name, object.comment.as_deref());
            if object.kind == "TABLE" {
                catalog.tables.insert((object.schema_name, object.name), (Vec::new(), Vec::new()));
            }
        }
        for column in columns {
            let name = format!(
                "{}.{}.{}",
                quoted(&column.schema_name),
                quoted(&column.table_name),
                quoted(&column.column_name)
            );
            catalog.comment("COLUMN", &name, column.comment.as_deref());
            if let Some((columns, _)) = catalog.tables.get_mut(&(column.schema_name, column.table_name)) {
                columns.push(ExportedColumn {
                    name: column.column_name,
                    logical_type: column.data_type,
                    nullable: column.is_nullable,
                });
            }
        }
        for key in keys {
            if let Some((_, keys)) = catalog.tables.get_mut(&(key.schema_name, key.table_name)) {
                keys.push(ExportedKey { kind: key.constraint_type, columns: key.constraint_column_names });
            }
        }
        catalog
    }

    fn comment(&mut self, kind: &str, name: &str, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.comments.push(format!("COMMENT ON {kind} {name} IS {};", literal(comment)));
        }
    }
}

/// Rows of every Parquet file in `directory`, by file name.
pub(super) fn exported_rows(
    connection: &mut Connection,
    directory: &Path,
) -> Result<BTreeMap<String, u64>, ExportError> {
    let pattern = directory.join("*.parquet");
    if !directory.read_dir().is_ok_and(|mut entries| entries.any(|entry| is_parquet(entry.ok()))) {
        return Ok(BTreeMap::new());
    }
    let pattern = literal(&pattern.to_string_lossy());
    let files: Vec<FileRow> =
        rows(connection, &format!("SELECT file_name, num_rows FROM parquet_file_metadata({pattern})"))?;
    Ok(files
        .into_iter()
        .filter_map(|file| super::files::name_of(&file.file_name).map(|name| (name, file.num_rows)))
        .collect())
}

fn is_parquet(entry: Option<std::fs::DirEntry>) -> bool {
    entry.is_some_and(|entry| entry.path().extension().is_some_and(|extension| extension == "parquet"))
}

/// Reads a query's rows through JSON: one text column, whatever the types are.
fn rows<T: DeserializeOwned>(connection: &mut Connection, sql: &str) -> Result<Vec<T>, ExportError> {
    let failed = |source| ExportError::Engine { step: "read the catalog".into(), source };
    let sql = format!("SELECT system.main.to_json(found)::VARCHAR FROM ({sql}) AS found");
    let mut batches = Vec::new();
    let keep = |batch| {
        batches.push(batch);
        Ok(())
    };
    connection.each_batch(&sql, keep).map_err(failed)?;
    let mut found = Vec::new();
    for batch in batches {
        let texts = batch.columns().first().and_then(|column| column.as_string_opt::<i32>());
        for text in texts.ok_or(ExportError::Catalog("a query"))?.iter().flatten() {
            found.push(serde_json::from_str(text).map_err(|_| ExportError::Catalog("a query"))?);
        }
    }
    Ok(found)
}
