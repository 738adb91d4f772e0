//! Why an export failed.
use roost_duckdb::EngineError;
use std::path::PathBuf;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The directory is not in the export directory of the configuration.
    #[error("{} is not in the export directory that this engine was opened with", .0.display())]
    OutsideExportDirectory(PathBuf),
    /// DuckDB failed.
    #[error("DuckDB failed to {step}: {source}")]
    Engine {
        /// Step that failed; it follows "failed to" in the message.
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
