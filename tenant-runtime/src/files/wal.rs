//! The WAL as DuckDB writes it: appended, synced at each commit, emptied or removed by a checkpoint.

use super::local::LocalFiles;
use roost_duckdb::interlock::DatabaseFile;
use roost_engine::{VfsError, VfsFile, wal::WalReader};
use roost_store::pager::read_up_to;
use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    sync::{Mutex, PoisonError},
};

#[derive(Debug)]
struct Extent {
    size: u64,
    /// Bytes covered by the last sync, which ends every commit.
    committed: u64,
    /// Reader of what is appended, which judges each commit.
    reader: WalReader,
}

/// A handle to the WAL.
pub struct WalFile {
    files: LocalFiles,
    file: File,
    extent: Mutex<Extent>,
}

impl WalFile {
    /// Opens or makes the WAL.
    pub fn open(files: LocalFiles) -> Result<Self, VfsError> {
        let path = files.path_of(DatabaseFile::Wal);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let size = file.metadata()?.len();
        let reader = WalReader::after(size, files.renames());
        Ok(Self { files, file, extent: Mutex::new(Extent { size, committed: size, reader }) })
    }

    fn extent(&self) -> std::sync::MutexGuard<'_, Extent> {
        self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After a failed WAL write nobody knows what the file holds: nothing may go on.
fn broken(error: &std::io::Error) -> VfsError {
    VfsError::fatal(format!("the write-ahead log could not be written: {error}"))
}

impl VfsFile for WalFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        self.files.noting(read_up_to(&self.file, buffer, offset).map_err(VfsError::from))
    }

    fn write_at(&self, _data: &[u8], _offset: u64) -> Result<(), VfsError> {
        Err(VfsError::fatal("the write-ahead log is only appended to"))
    }

    fn append(&self, data: &[u8]) -> Result<(), VfsError> {
        let mut extent = self.extent();
        self.file.write_all_at(data, extent.size).map_err(|error| broken(&error))?;
        self.files.note_wal(|tail| tail.wal_written(extent.size, data.len() as u64))?;
        extent.size += data.len() as u64;
        // A checkpoint's own record is no commit: what it writes is over with it.
        if !self.files.is_checkpointing() {
            extent.reader.appended(data);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), VfsError> {
        let mut extent = self.extent();
        if extent.size > extent.committed {
            extent.committed = extent.size;
            if !self.files.is_checkpointing() {
                let verdict = extent.reader.commit();
                self.files.note_commit(verdict)?;
            }
        }
        Ok(())
    }

    fn truncate(&self, size: u64) -> Result<(), VfsError> {
        let mut extent = self.extent();
        if size < extent.committed && !self.files.is_checkpointing() {
            return Err(VfsError::fatal("committed WAL was to be truncated outside of our checkpoint"));
        }
        self.file.set_len(size).map_err(|error| broken(&error))?;
        self.files.note_wal(|tail| tail.wal_truncated(size))?;
        extent.size = size;
        extent.committed = extent.committed.min(size);
        if size == extent.committed {
            extent.reader.taken_back(size);
        } else {
            extent.reader.lost();
        }
        Ok(())
    }

    fn trim(&self, _offset: u64, _length: u64) -> Result<bool, VfsError> {
        Ok(false)
    }

    fn size(&self) -> Result<u64, VfsError> {
        Ok(self.extent().size)
    }
}
