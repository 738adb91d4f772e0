//! Rules for the files of a database: which of them DuckDB's storage manager may touch, with which flags, in which
//! phase. Everything else that reaches `roost://` (COPY, readers, a second ATTACH, a checkpoint of its own) is refused
//! here, whatever the policy on plans let through.
//!
//! [`Interlock`] is the rule book, [`InterlockedVfs`] puts it in front of any [`crate::Vfs`].

mod flags;
mod guarded;

pub use guarded::InterlockedVfs;

use crate::vfs::{OpenFlags, VfsError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of the three headers at the start of the main file; written only by creating and by a checkpoint.
pub const HEADER_BYTES: u64 = 12_288;

/// The files of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatabaseFile {
    /// The file given to ATTACH.
    Main,
    /// Commits since the last checkpoint.
    Wal,
    /// Commits made during a checkpoint.
    CheckpointWal,
    /// Both WALs merged, after a crash during a checkpoint.
    RecoveryWal,
}

/// Manner in which the database is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For writing.
    ReadWrite,
    /// `READ_ONLY`: no file is written or removed, ever.
    ReadOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before ATTACH and after the main file was closed: nothing may be touched.
    Closed,
    Attaching,
    Serving,
    Checkpointing,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Open handles per file.
    handles: [usize; 4],
}

impl State {
    fn handles(&mut self, file: DatabaseFile) -> &mut usize {
        &mut self.handles[file as usize]
    }

    fn main_is_open(&self) -> bool {
        self.handles[DatabaseFile::Main as usize] > 0
    }
}

/// The rule book for the files of one attached database, for one ATTACH.
///
/// Order: [`Self::attaching`], ATTACH (with `TYPE duckdb`, else DuckDB first reads the file as any reader would),
/// [`Self::attached`], then [`Self::checkpoint`] around each CHECKPOINT. It ends when DuckDB closes the main file.
#[derive(Debug)]
pub struct Interlock {
    main: String,
    access: Access,
    state: Mutex<State>,
}

impl Interlock {
    /// For the database whose main file is `main` (a full `roost://` path).
    pub fn new(main: impl Into<String>, access: Access) -> Arc<Self> {
        let state = State { phase: Phase::Closed, handles: [0; 4] };
        Arc::new(Self { main: main.into(), access, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, from: Phase, to: Phase, what: &str) -> Result<(), VfsError> {
        let mut state = self.state();
        if state.phase != from {
            return Err(VfsError::fatal(format!("{what} in phase {:?}, expected {from:?}", state.phase)));
        }
        state.phase = to;
        Ok(())
    }

    /// The next statement on our own connection is the ATTACH.
    pub fn attaching(&self) -> Result<(), VfsError> {
        self.step(Phase::Closed, Phase::Attaching, "ATTACH begins")
    }

    /// ATTACH succeeded. Fails when the main file was not opened here: the database then lives somewhere else,
    /// and the process must end.
    pub fn attached(&self) -> Result<(), VfsError> {
        if !self.state().main_is_open() {
            return Err(VfsError::fatal(format!("ATTACH succeeded, but did not open \"{}\"", self.main)));
        }
        self.step(Phase::Attaching, Phase::Serving, "ATTACH ends")
    }

    /// From here until the window is dropped, our CHECKPOINT may write headers and remove the WAL.
    /// Call it with the write gate closed.
    pub fn checkpoint(self: &Arc<Self>) -> Result<CheckpointWindow, VfsError> {
        self.step(Phase::Serving, Phase::Checkpointing, "CHECKPOINT begins")?;
        Ok(CheckpointWindow { interlock: Arc::clone(self) })
    }

    /// Which file `path` is; `None` for every path that is not one of the database's.
    pub fn file(&self, path: &str) -> Option<DatabaseFile> {
        Some(match path.strip_prefix(self.main.as_str())? {
            "" => DatabaseFile::Main,
            ".wal" => DatabaseFile::Wal,
            ".wal.checkpoint" => DatabaseFile::CheckpointWal,
            ".wal.recovery" => DatabaseFile::RecoveryWal,
            _ => return None,
        })
    }

    fn known(&self, path: &str) -> Result<DatabaseFile, VfsError> {
        self.file(path).ok_or_else(|| refused("opened or changed", path))
    }

    /// May `path` be opened like this? The handle is the right to it: keep it as long as the file is open.
    pub fn open(self: &Arc<Self>, path: &str, flags: OpenFlags) -> Result<Handle, VfsError> {
        let file = self.known(path)?;
        let mut state = self.state();
        let (attaching, serving) = match state.phase {
            Phase::Closed => (false, false),
            Phase::Attaching => (true, false),
            Phase::Serving | Phase::Checkpointing => (false, true),
        };
        let writer = self.access == Access::ReadWrite;
        let allowed = match file {
            DatabaseFile::Main if writer => attaching && flags::opens_database(flags),
            DatabaseFile::Main => attaching && flags::opens_database_read_only(flags),
            DatabaseFile::Wal => {
                state.main_is_open()
                    && (attaching && flags::replays(flags)
                        || attaching && writer && flags::cuts_wal(flags)
                        || writer && serving && flags::appends_wal(flags))
            }
            // A commit while our checkpoint runs means that the gate was not closed.
            DatabaseFile::CheckpointWal if serving && flags::appends_wal(flags) => {
                return Err(VfsError::fatal("a commit was made during a checkpoint"));
            }
            DatabaseFile::CheckpointWal => attaching && state.main_is_open() && flags::replays(flags),
            DatabaseFile::RecoveryWal => {
                attaching && writer && state.main_is_open() && flags::creates_recovery(flags)
            }
        };
        // One handle at a time, but for recovery: it reads the WAL that it is about to replace.
        let another = *state.handles(file) > 0 && !(attaching && file == DatabaseFile::Wal);
        if !allowed || another {
            return Err(refused("opened", path));
        }
        *state.handles(file) += 1;
        Ok(Handle { interlock: Arc::clone(self), file })
    }

    /// May DuckDB ask whether `path` exists? It does so once, before it opens or creates the database.
    pub fn exists(&self, path: &str) -> Result<(), VfsError> {
        let asked = self.known(path)? == DatabaseFile::Main && self.state().phase == Phase::Attaching;
        asked.then_some(()).ok_or_else(|| refused("looked for", path))
    }

    /// May `path` be removed?
    pub fn remove(&self, path: &str) -> Result<(), VfsError> {
        let file = self.known(path)?;
        let state = self.state();
        let wal = matches!(file, DatabaseFile::Wal | DatabaseFile::CheckpointWal);
        match state.phase {
            _ if self.access == Access::ReadOnly => Err(refused("removed", path)),
            Phase::Attaching | Phase::Checkpointing if wal => Ok(()),
            Phase::Serving if wal => {
                Err(VfsError::fatal("the WAL was to be removed outside of our checkpoint"))
            }
            _ => Err(refused("removed", path)),
        }
    }

    /// May `from` be renamed to `to`? Only while recovering from a crash during a checkpoint.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        let files = (self.known(from)?, self.known(to)?);
        let recovery =
            matches!(files, (DatabaseFile::CheckpointWal | DatabaseFile::RecoveryWal, DatabaseFile::Wal));
        if recovery && self.access == Access::ReadWrite && self.state().phase == Phase::Attaching {
            return Ok(());
        }
        Err(VfsError::fatal(format!("\"{from}\" was to be renamed outside of recovery")))
    }
}

fn refused(what: &str, path: &str) -> VfsError {
    VfsError::refused(format!("\"{path}\" cannot be {what}: roost:// holds the database itself"))
}

/// While it lives, a checkpoint may happen.
#[derive(Debug)]
pub struct CheckpointWindow {
    interlock: Arc<Interlock>,
}

impl Drop for CheckpointWindow {
    fn drop(&mut self) {
        let mut state = self.interlock.state();
        if state.phase == Phase::Checkpointing {
            state.phase = Phase::Serving;
        }
    }
}

/// The right to one open file.
#[derive(Debug)]
pub struct Handle {
    interlock: Arc<Interlock>,
    file: DatabaseFile,
}

impl Handle {
    /// Which file.
    pub fn file(&self) -> DatabaseFile {
        self.file
    }

    /// May bytes at `offset` be written?
    pub fn write(&self, offset: u64) -> Result<(), VfsError> {
        self.change()?;
        let header = self.file == DatabaseFile::Main && offset < HEADER_BYTES;
        if header && self.interlock.state().phase == Phase::Serving {
            return Err(VfsError::fatal("a header was to be written outside of our checkpoint"));
        }
        Ok(())
    }

    /// May the file be changed at all (append, truncate, trim)?
    pub fn change(&self) -> Result<(), VfsError> {
        if self.interlock.access == Access::ReadOnly {
            return Err(VfsError::fatal(format!(
                "{:?} was to be written on a read-only database",
                self.file
            )));
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.interlock.state();
        *state.handles(self.file) -= 1;
        if self.file == DatabaseFile::Main && state.phase != Phase::Attaching {
            state.phase = Phase::Closed;
        }
    }
}

#[cfg(test)]
mod tests;
