//! The operations that DuckDB may do on files by their names: to open, look for and remove them.

use super::{local::LocalFiles, main_file::MainFile, wal::WalFile};
use roost_duckdb::interlock::DatabaseFile;
use roost_engine::{OpenFlags, Vfs, VfsError, VfsFile};
use std::sync::atomic::Ordering::SeqCst;

impl Vfs for LocalFiles {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let file = self.file(path)?;
        tracing::debug!(path, ?flags, "engine opens a file");
        if !self.is_there(file) && !flags.create() {
            if flags.null_if_not_exists() {
                return Ok(None);
            }
            return Err(VfsError::io(format!("{path} does not exist")));
        }
        let opened: Box<dyn VfsFile> = match file {
            DatabaseFile::Main => Box::new(MainFile::new(self.clone())),
            DatabaseFile::Wal => Box::new(WalFile::open(self.clone())?),
            // Every process starts from a checkpoint and checkpoints with the gate closed: there is nothing to
            // recover, and no commit during a checkpoint.
            DatabaseFile::CheckpointWal | DatabaseFile::RecoveryWal => {
                return Err(VfsError::fatal(format!("{path} was asked for, which cannot be")));
            }
        };
        self.existence(file).store(true, SeqCst);
        Ok(Some(opened))
    }

    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        Ok(self.is_there(self.file(path)?))
    }

    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        let file = self.file(path)?;
        if !self.existence(file).swap(false, SeqCst) {
            return Ok(false);
        }
        tracing::debug!(path, "engine removes a file");
        // What stays would be taken for the file that is made next.
        std::fs::remove_file(self.path_of(file))
            .map_err(|error| VfsError::fatal(format!("{path} could not be removed: {error}")))?;
        Ok(true)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        // Renames happen only in recovery, and there is nothing to recover.
        Err(VfsError::fatal(format!("{from} was to be renamed to {to}, which cannot be")))
    }
}
