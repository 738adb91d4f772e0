//! A finished database file, as the store publishes it.

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use bytes::Bytes;
use roost_store::{
    ChunkSet, DatabaseId, Freeze, Frozen, LocalDatabase, LocalError,
    chunk::{chunk_count, chunk_range, database_id},
};
use std::{fs::File, ops::Range, os::unix::fs::FileExt as _, path::Path};
use tenant_runtime::durability::database::ENGINE_VERSION;

/// A file that nobody writes any more.
pub struct LocalFile {
    file: File,
    size: u64,
    id: DatabaseId,
}

impl LocalFile {
    /// Opens it.
    pub fn new(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut header = [0; 4_096];
        file.read_exact_at(&mut header, 0)?;
        let id = database_id(&header).context("it is no database")?;
        Ok(Self { file, size, id })
    }
}

#[async_trait]
impl LocalDatabase for LocalFile {
    async fn freeze(&self, _: Freeze) -> Result<Frozen, LocalError> {
        Ok(Frozen {
            file_size: self.size,
            dirty: (0..chunk_count(self.size)).collect::<ChunkSet>(),
            database_id: self.id,
            last_commit: None,
            boot: ChunkSet::new(),
            rotated: true,
            engine_version: ENGINE_VERSION.into(),
            storage_version: "v1.5.0".into(),
        })
    }

    async fn read_chunk(&self, index: u64, length: usize) -> Result<Bytes, LocalError> {
        let mut chunk = vec![0; length];
        let start = chunk_range(index, self.size).start;
        self.file.read_exact_at(&mut chunk, start).map_err(|error| LocalError::lasting(error.to_string()))?;
        Ok(chunk.into())
    }

    async fn read_wal(&self, _: Range<u64>) -> Result<Bytes, LocalError> {
        Err(LocalError::lasting("a finished file has no WAL"))
    }
}
