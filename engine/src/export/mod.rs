//! Parquet export: each table as one file, and `schema.sql` that brings everything else back.
mod catalog;
mod files;
mod load_script;

use crate::opening::{literal, quoted};
use catalog::Catalog;
use roost_duckdb::{Connection, Database, EngineError};
use std::path::{Path, PathBuf};

/// What EXPORT calls its schema script.
const SCHEMA_SCRIPT: &str = "schema.sql";
/// What EXPORT calls the script that loads the tables again.
const LOAD_SCRIPT: &str = "load.sql";

/// What an export is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportProgress {
    /// The table that is described next, `schema.name`; empty while DuckDB writes them all.
    pub table: String,
    /// Tables described so far.
    pub done: usize,
    /// Tables in all.
    pub total: usize,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The directory is not in the export directory of the configuration.
    #[error("{} is not in the export directory that this engine was opened with", .0.display())]
    OutsideExportDirectory(PathBuf),
    /// DuckDB failed.
    #[error("DuckDB failed to {step}: {source}")]
    Engine {
        /// What was being done.
        step: String,
        /// DuckDB's error.
        source: EngineError,
    },
    /// A file could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The catalog answered something unexpected.
    #[error("the catalog's answer to {0} was not understood")]
    Catalog(&'static str),
    /// The engine's own thread is gone.
    #[error("the engine is gone")]
    EngineGone,
}

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportSummary {
    /// Engine version (`v1.5.6`).
    pub engine_version: String,
    /// File name of the schema script.
    pub schema_file: String,
    /// Size of the schema script, in bytes.
    pub schema_bytes: u64,
    /// BLAKE3 of the schema script, in hex.
    pub schema_blake3: String,
    /// Tables, in the order in which they can be loaded.
    pub tables: Vec<ExportedTable>,
}

/// One table of an export.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedTable {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// File name within the directory.
    pub file: String,
    /// Columns in their order; the file has all but the generated ones.
    pub columns: Vec<ExportedColumn>,
    /// Primary key, unique constraints and foreign keys.
    pub keys: Vec<ExportedKey>,
    /// Rows.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// BLAKE3 of the file, in hex.
    pub blake3: String,
}

/// A column of an exported table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedColumn {
    /// Name.
    pub name: String,
    /// DuckDB's text of the type.
    pub logical_type: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// A key of an exported table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedKey {
    /// `PRIMARY KEY`, `UNIQUE` or `FOREIGN KEY`.
    pub kind: String,
    /// Columns of the key.
    pub columns: Vec<String>,
}

/// Takes the database's name, and those that it had, out of the script: it is run in a database of any name.
fn make_portable(script: &Path, database: &str, former_names: &[String]) -> Result<(), ExportError> {
    let names: Vec<&str> = former_names.iter().map(String::as_str).chain([database]).collect();
    let text = files::read_text(script)?;
    match roost_duckdb::portable_script(&text, &names) {
        Ok(portable) => files::write(script, &portable),
        Err(error) => {
            // The data is more than a script that somebody has to mend.
            tracing::warn!(%error, "DuckDB cannot read its own schema script, which stays as it is");
            Ok(())
        }
    }
}

/// Exports `database` into `directory`. DuckDB's EXPORT writes the tables and the schema in an order in which they can
/// be restored; what it leaves out (comments) is added, and every file is described.
pub(crate) fn export(
    connection: &mut Connection,
    (database, former_names): (&str, &[String]),
    directory: &Path,
    progress: &dyn Fn(ExportProgress),
) -> Result<ExportSummary, ExportError> {
    let catalog = Catalog::read(connection, database)?;
    let total = catalog.tables.len();
    progress(ExportProgress { table: String::new(), done: 0, total });
    files::make_directory(directory)?;
    let sql = format!(
        "EXPORT DATABASE {} TO {} (FORMAT parquet, COMPRESSION zstd)",
        quoted(database),
        literal(&directory.to_string_lossy())
    );
    connection
        .run(&sql)
        .map_err(|source| ExportError::Engine { step: "export the tables".into(), source })?;
    let script = files::read_text(&directory.join(LOAD_SCRIPT))?;
    let parts = load_script::parse(&script).ok_or(ExportError::Catalog("the list of exported files"))?;
    // It names this machine's paths; the summary says the same without them.
    files::remove(&directory.join(LOAD_SCRIPT))?;
    make_portable(&directory.join(SCHEMA_SCRIPT), database, former_names)?;
    files::append(&directory.join(SCHEMA_SCRIPT), &catalog.comments.join("\n"))?;
    let rows = catalog::exported_rows(connection, directory)?;
    let mut tables = Vec::with_capacity(total);
    for part in parts {
        progress(ExportProgress {
            table: format!("{}.{}", part.schema, part.table),
            done: tables.len(),
            total,
        });
        let file = files::name_of(&part.path).ok_or(ExportError::Catalog("the name of an exported file"))?;
        let (bytes, blake3) = files::digest(&directory.join(&file))?;
        let rows = *rows.get(&file).ok_or(ExportError::Catalog("the rows of an exported file"))?;
        let description = catalog.tables.get(&(part.schema.clone(), part.table.clone()));
        let (columns, keys) = description.cloned().ok_or(ExportError::Catalog("an exported table"))?;
        tables.push(ExportedTable {
            schema: part.schema,
            name: part.table,
            file,
            columns,
            keys,
            rows,
            bytes,
            blake3,
        });
    }
    let (schema_bytes, schema_blake3) = files::digest(&directory.join(SCHEMA_SCRIPT))?;
    Ok(ExportSummary {
        engine_version: Database::library_version(),
        schema_file: SCHEMA_SCRIPT.into(),
        schema_bytes,
        schema_blake3,
        tables,
    })
}
