//! The database file as DuckDB holds it: positional reads and writes; writes are recorded by chunk.

use super::LocalFiles;
use roost_engine::{VfsError, VfsFile};
use std::os::unix::fs::FileExt as _;

/// A handle to the database file. The descriptor behind it outlives it.
pub struct MainFile(LocalFiles);

impl MainFile {
    /// A handle.
    pub fn new(files: LocalFiles) -> Self {
        Self(files)
    }
}

/// Reads until the buffer is full or the file ends.
pub fn read_up_to(file: &std::fs::File, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

impl VfsFile for MainFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        read_up_to(&self.0.0.main, buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), VfsError> {
        // Recorded first: a chunk that is dirty without need costs an upload, the other way costs the data.
        self.0.changes().chunks.insert_bytes(offset, data.len() as u64);
        self.0.0.main.write_all_at(data, offset)?;
        // Recorded after: a sync of another thread may come in between, and what it covers must be written.
        self.0.changes().tail.main_written(offset, data.len() as u64);
        Ok(())
    }

    fn append(&self, _data: &[u8]) -> Result<(), VfsError> {
        Err(VfsError::refused("the database file is written by position only"))
    }

    fn sync(&self) -> Result<(), VfsError> {
        // The disk is a cache. What the sync orders is kept: the next commit depends on what was written before.
        self.0.changes().tail.main_synced();
        Ok(())
    }

    fn truncate(&self, size: u64) -> Result<(), VfsError> {
        self.0.0.main.set_len(size)?;
        Ok(())
    }

    fn trim(&self, _offset: u64, _length: u64) -> Result<bool, VfsError> {
        Ok(false)
    }

    fn size(&self) -> Result<u64, VfsError> {
        Ok(self.0.main_size()?)
    }
}
