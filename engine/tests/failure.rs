//! An engine whose database was invalidated answers nothing any more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{Engine, ErrorCode, OpenFlags, Role, Vfs, VfsError, VfsFile};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::folder::FolderVfs;
use support::{config, eventually, request, run, start, vfs};

/// Passes on to a folder until it is broken; then every write to the WAL is fatal.
struct Breakable {
    inner: Arc<FolderVfs>,
    broken: Arc<AtomicBool>,
}

struct BreakableFile {
    inner: Box<dyn VfsFile>,
    broken: Arc<AtomicBool>,
}

impl BreakableFile {
    fn check(&self) -> Result<(), VfsError> {
        if self.broken.load(Ordering::SeqCst) { Err(VfsError::fatal("the disk is gone")) } else { Ok(()) }
    }
}

impl Vfs for Breakable {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let broken = Arc::clone(&self.broken);
        let file = self.inner.open(path, flags)?;
        Ok(file.map(|inner| Box::new(BreakableFile { inner, broken }) as Box<dyn VfsFile>))
    }
    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        self.inner.exists(path)
    }
    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        self.inner.remove(path)
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        self.inner.rename(from, to)
    }
}

impl VfsFile for BreakableFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        self.inner.read_at(buffer, offset)
    }
    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), VfsError> {
        self.check()?;
        self.inner.write_at(data, offset)
    }
    fn append(&self, data: &[u8]) -> Result<(), VfsError> {
        self.check()?;
        self.inner.append(data)
    }
    fn sync(&self) -> Result<(), VfsError> {
        self.check()?;
        self.inner.sync()
    }
    fn truncate(&self, size: u64) -> Result<(), VfsError> {
        self.check()?;
        self.inner.truncate(size)
    }
    fn trim(&self, offset: u64, length: u64) -> Result<bool, VfsError> {
        self.inner.trim(offset, length)
    }
    fn size(&self) -> Result<u64, VfsError> {
        self.inner.size()
    }
}

#[tokio::test]
async fn a_fatal_error_ends_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let broken = Arc::new(AtomicBool::new(false));
    let files = Breakable { inner: vfs(folder.path()), broken: Arc::clone(&broken) };
    let engine = Engine::open(config(folder.path()), Arc::new(files)).unwrap();
    run(&engine, "CREATE TABLE t (i INT)").await.unwrap();
    let endless = "SELECT i, repeat('x', 200) FROM range(40000000) r(i)";
    let mut other = start(&engine, request(endless, Role::ReadOnly)).await.unwrap();
    other.next().await.unwrap().unwrap();
    broken.store(true, Ordering::SeqCst);
    let error = run(&engine, "INSERT INTO t VALUES (1)").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::EngineFailed, "{error:?}");
    assert!(error.commit_unknown, "it may be committed: {error:?}");
    assert!(engine.has_failed());
    let error = run(&engine, "SELECT 1").await.unwrap_err();
    assert_eq!((error.code, error.sqlstate), (ErrorCode::EngineFailed, "58000"));
    assert!(!error.commit_unknown, "it was never begun: {error:?}");
    eventually("the other session ends", || engine.activity().running == 0).await;
}
