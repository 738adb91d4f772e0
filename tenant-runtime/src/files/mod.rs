//! The files that DuckDB sees under `roost://`: one database file with its WAL, in the pod's cache folder.
//!
//! The disk is a cache: nothing is fsynced, and what counts is only what a publish brought into the bucket. What
//! this file system adds is a record of which chunks were written, and the interlocks: each file opens only as
//! the storage manager opens it, headers change and WALs go only within our own checkpoint, and any doubt is
//! fatal for the database, never a guess.

mod interlock;
mod main_file;
mod wal;

pub use interlock::Phase;

use interlock::{Interlock, Name};
use roost_engine::{OpenFlags, Vfs, VfsError, VfsFile};
use roost_store::{ChunkSet, DatabaseId, Environment};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The path under which the engine attaches the tenant's database.
pub const MAIN_PATH: &str = "roost://main";
/// Where DuckDB's main header keeps the file's id.
const DATABASE_ID_OFFSET: u64 = 124;

/// How the database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The file was never published: DuckDB makes it.
    Create,
    /// A hydrated file, to be served.
    ReadWrite,
    /// A hydrated file, to be read only.
    ReadOnly,
}

/// What was written since the last freeze.
#[derive(Debug, Default)]
struct Changes {
    chunks: ChunkSet,
    /// When the oldest commit that is in no manifest was made.
    first_commit: Option<jiff::Timestamp>,
    /// When the last one was.
    last_commit: Option<jiff::Timestamp>,
}

/// What one freeze took: given back if its publish fails.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Chunks written since the last freeze.
    pub chunks: ChunkSet,
    /// When the oldest commit among them was made.
    pub first_commit: Option<jiff::Timestamp>,
    /// Time of the last commit since the database was opened.
    pub last_commit: Option<jiff::Timestamp>,
}

struct Shared {
    folder: PathBuf,
    /// The one descriptor of the database file; DuckDB's handles borrow it.
    main: File,
    interlock: Mutex<Interlock>,
    changes: Mutex<Changes>,
    environment: Environment,
}

/// The file system of one tenant's database.
#[derive(Clone)]
pub struct LocalFiles(Arc<Shared>);

impl LocalFiles {
    /// Over the folder, which holds `main` if there is anything to open, and nothing else of interest.
    pub fn new(folder: &Path, access: Access, environment: Environment) -> io::Result<Self> {
        let path = folder.join(Name::Main.file_name());
        let main = match access {
            Access::Create => File::options().read(true).write(true).create_new(true).open(path)?,
            Access::ReadWrite => File::options().read(true).write(true).open(path)?,
            Access::ReadOnly => File::open(path)?,
        };
        Ok(Self(Arc::new(Shared {
            folder: folder.to_owned(),
            main,
            interlock: Mutex::new(Interlock::new(access)),
            changes: Mutex::default(),
            environment,
        })))
    }

    /// The database is attached: from now on headers change and WALs go only in [`Phase::Checkpoint`].
    /// An error if DuckDB never opened the file here.
    pub fn attached(&self) -> Result<(), VfsError> {
        self.interlock().attached()
    }

    /// Says what DuckDB is doing on our behalf.
    pub fn enter(&self, phase: Phase) {
        self.interlock().phase = phase;
    }

    /// Takes what was written since the last freeze. Only while the write gate is closed.
    pub fn take_changes(&self) -> Taken {
        let mut changes = self.changes();
        let last_commit = changes.last_commit;
        let taken = std::mem::replace(&mut *changes, Changes { last_commit, ..Changes::default() });
        Taken { chunks: taken.chunks, first_commit: taken.first_commit, last_commit }
    }

    /// What a failed publish took is unpublished again.
    pub fn give_back(&self, chunks: &ChunkSet, first_commit: Option<jiff::Timestamp>) {
        let mut changes = self.changes();
        changes.chunks.union(chunks);
        changes.first_commit = match (first_commit, changes.first_commit) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// When the oldest commit that no freeze has taken was made; none when there is none.
    pub fn oldest_unpublished(&self) -> Option<jiff::Timestamp> {
        self.changes().first_commit
    }

    /// Size of the database file in bytes.
    pub fn main_size(&self) -> io::Result<u64> {
        Ok(self.0.main.metadata()?.len())
    }

    /// Reads bytes of the database file; all of them or an error.
    pub fn read_main(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.main.read_exact_at(buffer, offset)
    }

    /// DuckDB's id of the file.
    pub fn database_id(&self) -> io::Result<DatabaseId> {
        let mut id = [0; 16];
        self.read_main(DATABASE_ID_OFFSET, &mut id)?;
        Ok(DatabaseId::from_bytes(id))
    }

    fn interlock(&self) -> std::sync::MutexGuard<'_, Interlock> {
        self.0.interlock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A WAL sync: whatever it covers is committed, unless it is the checkpoint's own record.
    fn note_commit(&self) {
        if self.interlock().phase == Phase::Checkpoint {
            return;
        }
        let now = self.0.environment.clock.now();
        let mut changes = self.changes();
        changes.first_commit.get_or_insert(now);
        changes.last_commit = Some(now);
    }

    fn path_of(&self, name: Name) -> PathBuf {
        self.0.folder.join(name.file_name())
    }
}

impl Vfs for LocalFiles {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let name = Name::of(path)?;
        tracing::debug!(path, ?flags, "engine opens a file");
        if !self.interlock().open(name, flags)? {
            return Ok(None);
        }
        let opened: Result<Box<dyn VfsFile>, VfsError> = match name {
            Name::Main => Ok(Box::new(main_file::MainFile::new(self.clone()))),
            _ => wal::WalFile::open(self.clone(), name, flags).map(|file| Box::new(file) as _),
        };
        if opened.is_err() {
            self.interlock().closed(name);
        }
        opened.map(Some)
    }

    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        let name = Name::of(path)?;
        Ok(self.interlock().exists(name))
    }

    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        let name = Name::of(path)?;
        if !self.interlock().remove(name)? {
            return Ok(false);
        }
        tracing::debug!(path, "engine removes a file");
        std::fs::remove_file(self.path_of(name))?;
        Ok(true)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        let (from, to) = (Name::of(from)?, Name::of(to)?);
        self.interlock().rename(from, to)?;
        std::fs::rename(self.path_of(from), self.path_of(to))?;
        Ok(())
    }
}
