//! A file system over one folder: `roost://x` is the file `x` in it. Its interlocks are those that need no bucket:
//! the database opens with a lock, its WAL without, each by one handle at a time, and nothing else opens at all.
use roost_engine::{Lock, OpenFlags, Vfs, VfsError, VfsFile};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

const MAIN: &str = "roost://main";
const LOGS: [&str; 3] = ["roost://main.wal", "roost://main.wal.checkpoint", "roost://main.wal.recovery"];

pub struct FolderVfs {
    folder: PathBuf,
    open: Arc<Mutex<HashSet<String>>>,
}

struct FolderFile {
    file: File,
    path: String,
    open: Arc<Mutex<HashSet<String>>>,
}

impl FolderVfs {
    pub fn new(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, open: Arc::default() }
    }

    fn local(&self, path: &str) -> Result<PathBuf, VfsError> {
        if path != MAIN && !LOGS.contains(&path) {
            return Err(VfsError::refused(format!("{path} is not a file of this database")));
        }
        Ok(self.folder.join(path.trim_start_matches("roost://")))
    }
}

impl Vfs for FolderVfs {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let local = self.local(path)?;
        if path == MAIN && flags.lock() == Lock::None {
            return Err(VfsError::refused("roost://main is opened by the database only"));
        }
        if !self.open.lock().unwrap().insert(path.to_owned()) {
            return Err(VfsError::refused(format!("{path} is open already")));
        }
        let creates = flags.create() || flags.create_new();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(creates)
            .truncate(flags.create_new())
            .open(local);
        match opened {
            Ok(file) => {
                Ok(Some(Box::new(FolderFile { file, path: path.into(), open: Arc::clone(&self.open) })))
            }
            Err(error) => {
                self.open.lock().unwrap().remove(path);
                if error.kind() == std::io::ErrorKind::NotFound && flags.null_if_not_exists() {
                    return Ok(None);
                }
                Err(error.into())
            }
        }
    }

    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        Ok(self.local(path)?.try_exists()?)
    }

    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        match std::fs::remove_file(self.local(path)?) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        Ok(std::fs::rename(self.local(from)?, self.local(to)?)?)
    }
}

impl Drop for FolderFile {
    fn drop(&mut self) {
        self.open.lock().unwrap().remove(&self.path);
    }
}

impl VfsFile for FolderFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], offset + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        Ok(read)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), VfsError> {
        Ok(self.file.write_all_at(data, offset)?)
    }

    fn append(&self, data: &[u8]) -> Result<(), VfsError> {
        Ok(self.file.write_all_at(data, self.size()?)?)
    }

    fn sync(&self) -> Result<(), VfsError> {
        Ok(())
    }

    fn truncate(&self, size: u64) -> Result<(), VfsError> {
        Ok(self.file.set_len(size)?)
    }

    fn trim(&self, _offset: u64, _length: u64) -> Result<bool, VfsError> {
        Ok(false)
    }

    fn size(&self) -> Result<u64, VfsError> {
        Ok(self.file.metadata()?.len())
    }
}
