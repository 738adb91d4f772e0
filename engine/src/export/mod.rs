//! Parquet export: each table as one file, and `schema.sql` that brings everything else back.
mod catalog;
mod error;
mod files;
mod load_script;
mod summary;

use crate::quoting::{literal, quoted};
use catalog::Catalog;
pub use error::ExportError;
use roost_duckdb::{Connection, Database};
use std::path::Path;
pub use summary::{ExportSummary, ExportedColumn, ExportedKey, ExportedTable};

/// Name that EXPORT gives its schema script.
const SCHEMA_SCRIPT: &str = "schema.sql";
/// Name that EXPORT gives the script that loads the tables again.
const LOAD_SCRIPT: &str = "load.sql";

/// Progress of an export, told before each step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportProgress {
    /// The table that is described next, `schema.name`; empty while DuckDB writes them all.
    pub table: String,
    /// Tables described so far.
    pub done: usize,
    /// Tables in all.
    pub total: usize,
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
    // The script names this machine's paths; the summary says the same without them.
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
