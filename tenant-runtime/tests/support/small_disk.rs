//! A disk that can be filled.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted file system in memory; gone when dropped. Needs root.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mount(mebibytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success(), "cannot mount");
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all that is left of it.
    pub fn fill(&self) -> Filling {
        let path = self.path().join("filling");
        let mut file = File::create(&path).unwrap();
        loop {
            match file.write_all(&[7; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Filling(path),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is about to go may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// A file that fills a disk, until it is dropped.
pub struct Filling(PathBuf);

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
