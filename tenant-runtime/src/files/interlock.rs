//! Which file may be opened, changed or removed when: the order that DuckDB's storage manager keeps, and no other.

use super::Access;
use roost_engine::{Lock, OpenFlags, VfsError};

/// What DuckDB is doing on our behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Attaching: a new file gets its headers.
    Attach,
    /// Serving: blocks and the WAL are written, headers are not.
    Serve,
    /// Our checkpoint runs, with the write gate closed.
    Checkpoint,
}

/// The files that there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The database.
    Main,
    /// Its WAL.
    Wal,
    /// Commits made during a checkpoint; with the write gate closed there are none.
    WalCheckpoint,
    /// What recovery makes of both.
    WalRecovery,
}

impl Name {
    const ALL: [Self; 4] = [Self::Main, Self::Wal, Self::WalCheckpoint, Self::WalRecovery];

    /// Reads a path as DuckDB gives it.
    pub fn of(path: &str) -> Result<Self, VfsError> {
        let named = path.strip_prefix(SCHEME);
        Self::ALL
            .into_iter()
            .find(|name| named == Some(name.file_name()))
            .ok_or_else(|| VfsError::refused(format!("{path} is not a file of this database")))
    }

    /// The part of the path after the scheme, and the name in the cache folder.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Wal => "main.wal",
            Self::WalCheckpoint => "main.wal.checkpoint",
            Self::WalRecovery => "main.wal.recovery",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Main => 0,
            Self::Wal => 1,
            Self::WalCheckpoint => 2,
            Self::WalRecovery => 3,
        }
    }
}

const SCHEME: &str = "roost://";

#[derive(Clone, Copy, Debug, Default)]
struct FileState {
    exists: bool,
    open: bool,
}

/// The state of the four files.
#[derive(Debug)]
pub struct Interlock {
    /// What DuckDB is doing.
    pub phase: Phase,
    access: Access,
    files: [FileState; 4],
    main_was_opened: bool,
}

impl Interlock {
    /// Nothing is open. A hydrated file has no WAL: a manifest is a checkpoint.
    pub fn new(access: Access) -> Self {
        let mut files = [FileState::default(); 4];
        files[Name::Main.index()].exists = access != Access::Create;
        Self { phase: Phase::Attach, access, files, main_was_opened: false }
    }

    /// The end of [`Phase::Attach`].
    pub fn attached(&mut self) -> Result<(), VfsError> {
        if !self.main_was_opened {
            return Err(VfsError::fatal("the database was attached, but not through this file system"));
        }
        self.phase = Phase::Serve;
        Ok(())
    }

    /// Whether the file exists, as far as DuckDB is concerned.
    pub const fn exists(&self, name: Name) -> bool {
        self.files[name.index()].exists
    }

    /// Opens a file; false means "there is none", where the flags allow that answer.
    pub fn open(&mut self, name: Name, flags: OpenFlags) -> Result<bool, VfsError> {
        let read_only = self.access == Access::ReadOnly;
        let state = self.files[name.index()];
        if !state.exists && !flags.create() && !flags.create_new() {
            if flags.null_if_not_exists() {
                return Ok(false);
            }
            return Err(VfsError::io(format!("{} does not exist", name.file_name())));
        }
        if state.open {
            return Err(VfsError::refused(format!("{} is open already", name.file_name())));
        }
        if read_only && (flags.write() || flags.create() || flags.create_new()) {
            return Err(VfsError::refused("the database is opened for reading only"));
        }
        match name {
            Name::Main => {
                let expected = if read_only { Lock::Read } else { Lock::Write };
                if flags.lock() != expected || self.phase != Phase::Attach {
                    return Err(VfsError::refused("the database file is opened once, when it is attached"));
                }
                self.main_was_opened = true;
            }
            Name::Wal if read_only => {
                return Err(VfsError::fatal("a published database has no WAL to read"));
            }
            Name::Wal => {
                if !self.main_was_opened {
                    return Err(VfsError::refused("a WAL is opened only after its database"));
                }
            }
            Name::WalCheckpoint | Name::WalRecovery => {
                return Err(VfsError::fatal(format!(
                    "{} was asked for: a transaction wrote during a checkpoint, or recovery runs; neither can be",
                    name.file_name()
                )));
            }
        }
        self.files[name.index()] = FileState { exists: true, open: true };
        Ok(true)
    }

    /// A handle was dropped.
    pub const fn closed(&mut self, name: Name) {
        self.files[name.index()].open = false;
    }

    /// Whether bytes from `offset` on may be written into the database file.
    pub fn may_write_main(&self, offset: u64) -> Result<(), VfsError> {
        if self.access == Access::ReadOnly {
            return Err(VfsError::refused("the database is opened for reading only"));
        }
        if offset < roost_store::chunk::HEADER_BYTES && self.phase == Phase::Serve {
            return Err(VfsError::fatal("a header was written outside a checkpoint of ours"));
        }
        Ok(())
    }

    /// Whether the WAL may lose bytes.
    pub fn may_shrink_wal(&self, committed: u64, size: u64) -> Result<(), VfsError> {
        if self.phase == Phase::Serve && size < committed {
            return Err(VfsError::fatal("committed WAL was truncated outside a checkpoint of ours"));
        }
        Ok(())
    }

    /// Removes a file; false when there was none.
    pub fn remove(&mut self, name: Name) -> Result<bool, VfsError> {
        if !self.files[name.index()].exists {
            return Ok(false);
        }
        match (name, self.phase) {
            (Name::Main, _) => return Err(VfsError::fatal("the database file was to be removed")),
            (_, Phase::Serve) => {
                return Err(VfsError::fatal("a WAL was to be removed outside a checkpoint of ours"));
            }
            _ => {}
        }
        self.files[name.index()].exists = false;
        Ok(true)
    }

    /// Renames happen only in recovery and concurrent checkpoints, and there are none.
    pub fn rename(&mut self, from: Name, to: Name) -> Result<(), VfsError> {
        Err(VfsError::fatal(format!("{} was to be renamed to {}", from.file_name(), to.file_name())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Bits as in DuckDB's FileOpenFlags.
    const READ: u64 = 1;
    const WRITE: u64 = 1 << 1;
    const CREATE: u64 = 1 << 3;
    const NULL_IF_NOT_EXISTS: u64 = 1 << 7;

    fn writer(bits: u64) -> OpenFlags {
        OpenFlags::new(READ | WRITE | bits, Lock::Write)
    }

    #[test]
    fn the_database_opens_once_and_only_while_attaching() {
        let mut interlock = Interlock::new(Access::ReadWrite);
        assert!(interlock.attached().is_err(), "nothing was opened yet");
        assert!(interlock.open(Name::Main, writer(0)).unwrap());
        assert!(interlock.open(Name::Main, writer(0)).is_err(), "a second handle");
        interlock.attached().unwrap();
        interlock.closed(Name::Main);
        assert!(interlock.open(Name::Main, writer(0)).is_err(), "reopened while serving");
    }

    #[test]
    fn readers_and_copies_get_nothing() {
        let mut interlock = Interlock::new(Access::ReadWrite);
        let reader = OpenFlags::new(READ, Lock::None);
        assert!(interlock.open(Name::Main, reader).is_err());
        assert!(Name::of("roost://other").is_err());
        assert!(Name::of("/etc/passwd").is_err());
        assert!(Name::of("roost://main/../main").is_err());
    }

    #[test]
    fn a_missing_file_is_told_or_made() {
        let mut interlock = Interlock::new(Access::Create);
        assert!(!interlock.exists(Name::Main));
        assert!(!interlock.open(Name::Main, writer(NULL_IF_NOT_EXISTS)).unwrap());
        assert!(interlock.open(Name::Wal, writer(CREATE)).is_err(), "a WAL before its database");
        assert!(interlock.open(Name::Main, writer(CREATE)).unwrap());
        assert!(interlock.open(Name::Wal, writer(CREATE)).unwrap());
        assert!(interlock.exists(Name::Wal));
        assert!(interlock.open(Name::WalCheckpoint, writer(CREATE)).is_err());
    }

    #[test]
    fn headers_and_wal_change_only_in_a_checkpoint() {
        let mut interlock = Interlock::new(Access::ReadWrite);
        interlock.open(Name::Main, writer(0)).unwrap();
        interlock.open(Name::Wal, writer(CREATE)).unwrap();
        interlock.attached().unwrap();
        assert!(interlock.may_write_main(0).is_err());
        interlock.may_write_main(12_288).unwrap();
        assert!(interlock.may_shrink_wal(100, 99).is_err());
        interlock.may_shrink_wal(100, 100).unwrap();
        assert!(interlock.remove(Name::Wal).is_err());
        interlock.phase = Phase::Checkpoint;
        interlock.may_write_main(0).unwrap();
        interlock.may_shrink_wal(100, 0).unwrap();
        assert!(interlock.remove(Name::Wal).unwrap());
        assert!(!interlock.remove(Name::Wal).unwrap());
        assert!(interlock.remove(Name::Main).is_err());
    }

    #[test]
    fn a_reader_writes_nothing() {
        let mut interlock = Interlock::new(Access::ReadOnly);
        assert!(interlock.open(Name::Main, writer(0)).is_err());
        assert!(interlock.open(Name::Main, OpenFlags::new(READ, Lock::Read)).unwrap());
        assert!(interlock.may_write_main(1 << 20).is_err());
        assert!(!interlock.open(Name::Wal, OpenFlags::new(READ | NULL_IF_NOT_EXISTS, Lock::None)).unwrap());
    }
}
