//! A finished database file, as the store publishes it.

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use roost_store::{
    BranchName, ChunkSet, DatabaseId, Environment, Freeze, Frozen, Holder, LocalDatabase, LocalError,
    OwnedBranch, Takeover, TenantPath, TenantStore,
    chunk::{chunk_count, chunk_range},
};
use roost_tests::{Roost, cluster::random_suffix};
use std::{fs::File, ops::Range, os::unix::fs::FileExt as _, path::Path};

/// Where [`publish`] puts a file, under its prefix.
pub const NAMESPACE: &str = "bench";
/// The tenant there.
pub const TENANT: &str = "file";

/// A file that nobody writes any more.
pub struct LocalFile {
    file: File,
    size: u64,
}

impl LocalFile {
    /// Opens it.
    pub fn new(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

/// A tenant of nobody's cluster with the file as its published state, as a new owner finds it.
pub async fn publish(roost: &Roost, prefix: &str, file: &Path) -> Result<OwnedBranch> {
    let owner = roost.bucket.create_foreign_tenant(prefix, NAMESPACE, TENANT).await?;
    let path = TenantPath::new(prefix, NAMESPACE, TENANT)?;
    let store = TenantStore::new(roost.bucket.store(), path, owner, Environment::system());
    let branch = store.branch(&BranchName::main());
    let holder = Holder { name: "bench".into(), id: random_suffix() };
    let first = branch.take_over(&holder, Takeover::OnlySealed).await?;
    first.publish(&LocalFile::new(file)?).await?;
    first.relinquish().await?;
    Ok(branch.take_over(&holder, Takeover::OnlySealed).await?)
}

#[async_trait]
impl LocalDatabase for LocalFile {
    async fn freeze(&self, _: Freeze) -> Result<Frozen, LocalError> {
        Ok(Frozen {
            file_size: self.size,
            dirty: (0..chunk_count(self.size)).collect::<ChunkSet>(),
            database_id: DatabaseId::from_bytes([7; 16]),
            last_commit: None,
            boot: ChunkSet::new(),
            rotated: true,
            engine_version: "1.5.5".into(),
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
