//! Summary of an export, as `metadata.json` tells it.

/// Summary of an export: the files that it wrote, and what is in them.
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
