//! The files of one database in the cache folder: what is there, what was written, and who may write what.

use super::changes::{Changes, Taken, Uncut, Unpublished};
use crate::files::damage::Damage;
use roost_duckdb::interlock::{self, CheckpointWindow, DatabaseFile, Interlock, InterlockedVfs};
use roost_engine::{
    Vfs, VfsError,
    mutation::{Mutation, broken},
    wal::{Renames, Verdict},
};
use roost_store::{
    DatabaseId, Environment,
    pager::{Pager, Read},
    stream::{Cut, Lsn, Replay, Tail, TailError},
};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

/// The path under which the engine attaches the tenant's database.
pub const MAIN_PATH: &str = "roost://main";
/// Offset at which DuckDB's main header keeps the file's id, in bytes.
const DATABASE_ID_OFFSET: u64 = 124;

/// Manner in which the database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The file was never published: DuckDB makes it.
    Create,
    /// A hydrated file, to be served.
    ReadWrite,
    /// A hydrated file, to be read only.
    ReadOnly,
}

/// State that all handles of one database share.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    /// The database file; DuckDB's handles borrow its one descriptor.
    pub(super) pager: Arc<Pager>,
    /// The runtime in which the bucket is asked for DuckDB's threads.
    pub(super) tasks: Handle,
    pub(super) damage: Damage,
    /// DuckDB has opened the database.
    pub(super) attached: AtomicBool,
    /// A write was refused since the last freeze, for what no manifest holds.
    pub(super) refused: AtomicBool,
    /// DuckDB was given an error of the disk or the bucket.
    pub(super) failed: AtomicBool,
    pub(super) interlock: Arc<Interlock>,
    /// Whether each file is there, as far as DuckDB is concerned.
    pub(super) exists: [AtomicBool; 4],
    /// Our checkpoint runs, with the write gate closed.
    pub(super) checkpointing: AtomicBool,
    pub(super) changes: Mutex<Changes>,
    pub(super) commits: watch::Sender<Lsn>,
    /// Told when a commit waits for a publish.
    pub(super) held: Notify,
    pub(super) renames: Renames,
    pub(super) environment: Environment,
}

/// The file system of one tenant's database.
#[derive(Clone)]
pub struct LocalFiles(pub(super) Arc<Shared>);

impl LocalFiles {
    /// Over the pager of the folder's `main`, which has a WAL beside it if `tail` has any. Within the tokio runtime.
    pub fn new(
        folder: &Path,
        pager: Arc<Pager>,
        access: Access,
        tail: Tail,
        environment: Environment,
    ) -> Self {
        let interlock = Interlock::new(
            MAIN_PATH,
            match access {
                Access::Create | Access::ReadWrite => interlock::Access::ReadWrite,
                Access::ReadOnly => interlock::Access::ReadOnly,
            },
        );
        let exists: [AtomicBool; 4] = Default::default();
        exists[DatabaseFile::Main as usize].store(access != Access::Create, SeqCst);
        exists[DatabaseFile::Wal as usize].store(tail.length() > 0, SeqCst);
        let commits = watch::Sender::new(tail.committed());
        Self(Arc::new(Shared {
            folder: folder.to_owned(),
            pager,
            tasks: Handle::current(),
            damage: Damage::default(),
            attached: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            interlock,
            exists,
            checkpointing: AtomicBool::new(false),
            changes: Mutex::new(Changes { tail, first_commit: None, held_since: None, held: 0 }),
            commits,
            held: Notify::new(),
            renames: Renames::default(),
            environment,
        }))
    }

    /// The file system that the engine opens its files through. The next statement that reaches it must be the ATTACH.
    pub fn attaching(&self) -> Result<Arc<dyn Vfs>, VfsError> {
        self.0.interlock.attaching()?;
        Ok(Arc::new(InterlockedVfs::new(Arc::clone(&self.0.interlock), Arc::new(self.clone()))))
    }

    /// The database is attached: from now on headers change and WALs go only in a checkpoint of ours.
    /// An error if DuckDB never opened the file here.
    pub fn attached(&self) -> Result<(), VfsError> {
        self.0.interlock.attached()?;
        self.0.pager.note_first_reads();
        self.0.attached.store(true, SeqCst);
        Ok(())
    }

    /// Record of the transactions that rename tables, which the engine keeps.
    pub fn renames(&self) -> Renames {
        self.0.renames.clone()
    }

    /// Damage that reading the database file met.
    pub fn damage(&self) -> &Damage {
        &self.0.damage
    }

    /// Whether there is WAL, which attaching replays.
    pub fn has_wal(&self) -> bool {
        self.is_there(DatabaseFile::Wal)
    }

    /// Whether DuckDB was ever given an error of the disk or the bucket: then what it failed at may be only that.
    pub fn have_failed(&self) -> bool {
        self.0.failed.load(SeqCst)
    }

    /// The database file.
    pub fn pager(&self) -> &Arc<Pager> {
        &self.0.pager
    }

    /// Our checkpoint may run until the window is dropped. Only while the write gate is closed.
    pub fn checkpoint(&self) -> Result<Checkpoint, VfsError> {
        let window = self.0.interlock.checkpoint()?;
        self.0.checkpointing.store(true, SeqCst);
        Ok(Checkpoint { files: self.clone(), _window: window })
    }

    /// Takes what was written since the last freeze, and begins the next WAL. Only while the write gate is closed, after
    /// a checkpoint. A WAL in which nothing was written goes on, unless a new one `must` begin.
    pub fn take_changes(&self, must: bool) -> Taken {
        let mut changes = self.changes();
        let chunks = self.0.pager.freeze();
        self.0.refused.store(false, SeqCst);
        let first_commit = changes.first_commit.take();
        changes.held_since = None;
        let held = std::mem::take(&mut changes.held);
        let last_commit = changes.tail.last_commit();
        let rotated = must || changes.tail.length() > 0 || !chunks.is_empty();
        if rotated {
            changes.tail.rotate();
            self.0.commits.send_replace(changes.tail.committed());
        }
        Taken { chunks, first_commit, last_commit, rotated, held }
    }

    /// Age and amount of what no freeze has taken, and whether a publish is needed.
    pub fn unpublished(&self) -> Unpublished {
        let crowded = self.0.pager.unpublished_bytes() >= self.0.pager.limit_bytes() / 2;
        let refused = self.0.refused.load(SeqCst);
        let changes = self.changes();
        Unpublished {
            since: changes.first_commit,
            wal_bytes: changes.tail.length(),
            commits: changes.tail.commits(),
            segments: changes.tail.segments(),
            carried: changes.tail.carried(),
            needs_publish: changes.tail.needs_publish(),
            held_since: changes.held_since,
            // Room is wanted; or it is scarce, and something is committed.
            crowded: refused || (crowded && changes.first_commit.is_some()),
        }
    }

    /// The last commit, as it changes.
    pub fn commits(&self) -> watch::Receiver<Lsn> {
        self.0.commits.subscribe()
    }

    /// Waits until a commit is held, unless one was since the last call.
    pub async fn commit_is_held(&self) {
        self.0.held.notified().await;
    }

    /// The last commit.
    pub fn committed(&self) -> Lsn {
        self.changes().tail.committed()
    }

    /// Takes the commits of the next segment. See [`Tail::cut`].
    pub fn cut(&self, target: u64) -> Option<Cut> {
        self.changes().tail.cut(target)
    }

    /// The commits that no segment has taken; none if there are none.
    pub fn uncut(&self) -> Option<Uncut> {
        let tail = &self.changes().tail;
        let since = tail.oldest_pending()?;
        Some(Uncut { since, commits: tail.pending(), wal_bytes: tail.backlog() })
    }

    /// Reads bytes of the WAL; all of them or an error.
    pub fn read_wal(&self, range: std::ops::Range<u64>) -> io::Result<Vec<u8>> {
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        File::open(self.path_of(DatabaseFile::Wal))?.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }

    /// Size of the database file in bytes.
    pub fn main_size(&self) -> io::Result<u64> {
        self.0.pager.size()
    }

    /// DuckDB's id of the file.
    pub fn database_id(&self) -> io::Result<DatabaseId> {
        let mut id = [0; 16];
        // The headers never leave the cache.
        match self.0.pager.try_read(&mut id, DATABASE_ID_OFFSET)? {
            Read::Done { bytes: 16, .. } => Ok(DatabaseId::from_bytes(id)),
            _ => Err(io::Error::other("the file has no header")),
        }
    }

    /// Notes an error that DuckDB is about to get.
    pub(super) fn noting<T>(&self, result: Result<T, VfsError>) -> Result<T, VfsError> {
        if result.is_err() {
            self.0.failed.store(true, SeqCst);
        }
        result
    }

    pub(super) fn is_checkpointing(&self) -> bool {
        self.0.checkpointing.load(SeqCst)
    }

    pub(super) fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a change of the WAL, unless our checkpoint makes it.
    pub(super) fn note_wal(
        &self,
        note: impl FnOnce(&mut Tail) -> Result<(), TailError>,
    ) -> Result<(), VfsError> {
        if self.is_checkpointing() {
            return Ok(());
        }
        note(&mut self.changes().tail).map_err(|error| VfsError::fatal(error.to_string()))
    }

    /// A WAL sync: whatever it covers is committed.
    pub(super) fn note_commit(&self, verdict: Verdict) -> Result<(), VfsError> {
        let now = self.0.environment.clock.now();
        let size = self.main_size()?;
        let mut changes = self.changes();
        let replay = match verdict {
            Verdict::Proven => Replay::Proven,
            Verdict::Held(doubt) => {
                tracing::debug!(?doubt, "a commit is held: it waits for a publish");
                changes.held += 1;
                changes.held_since.get_or_insert(self.0.environment.clock.monotonic());
                self.0.held.notify_one();
                Replay::Unproven
            }
        };
        let lsn = changes.tail.wal_synced(now, size, replay);
        let time = changes.tail.last_commit().unwrap_or(now);
        changes.first_commit.get_or_insert(time);
        // Under the lock: a later commit may not be told of before an earlier one.
        self.0.commits.send_replace(lsn);
        Ok(())
    }

    pub(super) fn path_of(&self, file: DatabaseFile) -> PathBuf {
        self.0.folder.join(file_name(file))
    }

    pub(super) fn file(&self, path: &str) -> Result<DatabaseFile, VfsError> {
        let refused = || VfsError::refused(format!("{path} is not a file of this database"));
        self.0.interlock.file(path).ok_or_else(refused)
    }

    /// Whether DuckDB is to find this file.
    pub(super) fn is_there(&self, file: DatabaseFile) -> bool {
        let missing = file == DatabaseFile::Wal && broken(Mutation::TheWalIsMissing);
        self.existence(file).load(SeqCst) && !missing
    }

    pub(super) fn existence(&self, file: DatabaseFile) -> &AtomicBool {
        &self.0.exists[file as usize]
    }
}

/// A checkpoint of ours is running.
pub struct Checkpoint {
    files: LocalFiles,
    _window: CheckpointWindow,
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        self.files.0.checkpointing.store(false, SeqCst);
    }
}

/// Name in the cache folder.
const fn file_name(file: DatabaseFile) -> &'static str {
    match file {
        DatabaseFile::Main => "main",
        DatabaseFile::Wal => "main.wal",
        DatabaseFile::CheckpointWal => "main.wal.checkpoint",
        DatabaseFile::RecoveryWal => "main.wal.recovery",
    }
}
