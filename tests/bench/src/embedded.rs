//! DuckDB in this process, as the peer of what we serve: same library, same version, no Roost around it.

use anyhow::{Context as _, Result, bail};
use arrow_array::RecordBatch;
use roost_duckdb::{
    Caller, Connection, Database, OpenFlags, PlanFacts, PlanGuard, Refusal, Trust, Vfs, VfsError, VfsFile,
};
use std::{path::Path, sync::Arc};

/// A connection to an instance of its own.
pub struct Embedded {
    connection: Connection,
    _instance: Database,
}

impl Embedded {
    /// An instance in memory.
    pub fn in_memory() -> Result<Self> {
        let instance = Database::open_in_memory(&[], Arc::new(NoFiles), Arc::new(Everything))?;
        let connection = instance.connect(Trust::Own)?;
        Ok(Self { connection, _instance: instance })
    }

    /// An instance with the database at `path` attached as `db`, and used.
    pub fn on(path: &Path) -> Result<Self> {
        let mut embedded = Self::in_memory()?;
        embedded.run(&format!("ATTACH '{}' AS db (STORAGE_VERSION 'v1.5.0'); USE db", path.display()))?;
        Ok(embedded)
    }

    /// Runs statements to their end.
    pub fn run(&mut self, sql: &str) -> Result<()> {
        self.connection.run(sql).with_context(|| sql.to_owned())
    }

    /// Runs one statement; `take` gets its result batch by batch.
    pub fn stream(&mut self, sql: &str, take: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        self.connection.each_batch(sql, take)
    }

    /// Ends the instance with everything in its file.
    pub fn close(mut self) -> Result<()> {
        self.run("CHECKPOINT; USE memory; DETACH db")
    }
}

/// Makes a database file of about `bytes` that does not compress: a table `data` with a column `h`.
pub fn make_file(path: &Path, bytes: u64) -> Result<()> {
    let mut embedded = Embedded::on(path)?;
    embedded.run(&filling(bytes))?;
    embedded.close()?;
    let made = std::fs::metadata(path)?.len();
    if made < bytes / 2 {
        bail!("the database has {made} bytes instead of about {bytes}");
    }
    Ok(())
}

/// The statement that makes a table of about `bytes`, eight to a row, which no encoding makes smaller.
pub fn filling(bytes: u64) -> String {
    format!("CREATE TABLE data AS SELECT i, hash(i) AS h FROM range({}) r(i)", bytes / 8)
}

struct Everything;

impl PlanGuard for Everything {
    fn judge(&self, _: Caller, _: &PlanFacts) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Its files are on the disk, by their paths.
struct NoFiles;

fn none<T>(path: &str) -> Result<T, VfsError> {
    Err(VfsError::refused(format!("{path} is not served here")))
}

impl Vfs for NoFiles {
    fn open(&self, path: &str, _: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        none(path)
    }
    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        none(path)
    }
    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        none(path)
    }
    fn rename(&self, from: &str, _: &str) -> Result<(), VfsError> {
        none(from)
    }
}
