//! An object store over a local directory, safe across processes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Changed, Condition, ETag, Listing, Object, ObjectError, ObjectStore};

/// Objects as files under one folder.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    root: PathBuf,
}

impl DirectoryStore {
    /// Opens (and makes, if absent) the folder.
    pub fn open(root: impl Into<PathBuf>) -> std::io::Result<Self> {
        let root = root.into();
        std::fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// A random id made when the folder was first opened: the standalone owner's.
    pub fn id(&self) -> std::io::Result<String> {
        todo!()
    }
}

#[async_trait]
impl ObjectStore for DirectoryStore {
    async fn get(&self, _key: &str, _limit: u64) -> Result<Object, ObjectError> {
        todo!()
    }
    async fn get_if_changed(&self, _key: &str, _etag: &ETag, _limit: u64) -> Result<Changed, ObjectError> {
        todo!()
    }
    async fn get_range(&self, _key: &str, _range: Range<u64>) -> Result<Bytes, ObjectError> {
        todo!()
    }
    async fn put(&self, _key: &str, _bytes: Bytes, _condition: Condition) -> Result<ETag, ObjectError> {
        todo!()
    }
    async fn put_file(&self, _key: &str, _path: &Path, _condition: Condition) -> Result<ETag, ObjectError> {
        todo!()
    }
    async fn list(&self, _prefix: &str, _after: Option<&str>, _limit: usize) -> Result<Listing, ObjectError> {
        todo!()
    }
    async fn delete(&self, _key: &str) -> Result<(), ObjectError> {
        let _ = &self.root;
        todo!()
    }
}
