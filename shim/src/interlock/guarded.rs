//! A [`Vfs`] behind an [`Interlock`].
use super::{Handle, Interlock};
use crate::vfs::{OpenFlags, Vfs, VfsError, VfsFile};
use std::sync::Arc;

/// Asks the interlock before it forwards anything to the file system inside.
pub struct InterlockedVfs {
    interlock: Arc<Interlock>,
    inner: Arc<dyn Vfs>,
}

impl InterlockedVfs {
    /// Puts `interlock` in front of `inner`.
    pub fn new(interlock: Arc<Interlock>, inner: Arc<dyn Vfs>) -> Self {
        Self { interlock, inner }
    }
}

impl Vfs for InterlockedVfs {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let handle = self.interlock.open(path, flags)?;
        let opened = self.inner.open(path, flags)?;
        Ok(opened.map(|inner| Box::new(InterlockedFile { inner, handle }) as Box<dyn VfsFile>))
    }

    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        self.interlock.exists(path)?;
        self.inner.exists(path)
    }

    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        self.interlock.remove(path)?;
        self.inner.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        self.interlock.rename(from, to)?;
        self.inner.rename(from, to)
    }
}

/// The file is closed before the right to it is given back: fields drop in their order.
struct InterlockedFile {
    inner: Box<dyn VfsFile>,
    handle: Handle,
}

impl VfsFile for InterlockedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), VfsError> {
        self.handle.write(offset)?;
        self.inner.write_at(data, offset)
    }

    fn append(&self, data: &[u8]) -> Result<(), VfsError> {
        self.handle.change()?;
        self.inner.append(data)
    }

    fn sync(&self) -> Result<(), VfsError> {
        self.inner.sync()
    }

    fn truncate(&self, size: u64) -> Result<(), VfsError> {
        self.handle.change()?;
        self.inner.truncate(size)
    }

    fn trim(&self, offset: u64, length: u64) -> Result<bool, VfsError> {
        self.handle.write(offset)?;
        self.inner.trim(offset, length)
    }

    fn size(&self) -> Result<u64, VfsError> {
        self.inner.size()
    }
}
