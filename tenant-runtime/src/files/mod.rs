//! The files that DuckDB sees under `roost://`: one database file with its WAL, in the pod's cache folder.
//!
//! The disk is a cache: nothing is fsynced, and what counts is only what is in the bucket. What this file system adds
//! is a record of which chunks were written, of the commits in the WAL, and of what each of them depends on. The interlock in
//! front of it (each file opens only as the storage manager opens it, headers change and WALs go only within our
//! own checkpoint) is the engine layer's.

mod main_file;
mod wal;

use crate::damage::Damage;
use roost_duckdb::interlock::{self, CheckpointWindow, DatabaseFile, Interlock, InterlockedVfs};
use roost_engine::{
    OpenFlags, Vfs, VfsError, VfsFile,
    mutation::{Mutation, broken},
    wal::{Renames, Verdict},
};
use roost_store::{
    ChunkSet, DatabaseId, Environment,
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
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
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
#[derive(Debug)]
struct Changes {
    /// The WAL.
    tail: Tail,
    /// When the oldest commit that is in no manifest was made.
    first_commit: Option<jiff::Timestamp>,
    /// Since when a commit waits for a publish because replaying it is not proven, on the monotonic clock.
    held_since: Option<Duration>,
    /// Commits that wait for one.
    held: u64,
}

/// What one freeze took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Chunks written since the last freeze.
    pub chunks: ChunkSet,
    /// When the oldest commit among them was made.
    pub first_commit: Option<jiff::Timestamp>,
    /// Time of the last commit in the branch's history.
    pub last_commit: Option<jiff::Timestamp>,
    /// Whether anything was written.
    pub rotated: bool,
    /// Commits that no segment could take because replaying them is not proven.
    pub held: u64,
}

/// Commits that no segment has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncut {
    /// Time of the oldest.
    pub since: jiff::Timestamp,
    /// How many there are.
    pub commits: usize,
    /// Bytes of WAL, with those of a commit under way.
    pub wal_bytes: u64,
}

/// What no manifest holds yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpublished {
    /// When the oldest commit was made.
    pub since: Option<jiff::Timestamp>,
    /// Bytes of WAL.
    pub wal_bytes: u64,
    /// Commits.
    pub commits: u64,
    /// Segments.
    pub segments: u64,
    /// Chunks that these carry.
    pub carried: u64,
    /// Whether a commit waits that no segment can hold.
    pub needs_publish: bool,
    /// Since when a commit waits whose replay is not proven, on the monotonic clock.
    pub held_since: Option<Duration>,
    /// Whether the cache has to get rid of what no manifest holds.
    pub crowded: bool,
}

struct Shared {
    folder: PathBuf,
    /// The database file; DuckDB's handles borrow its one descriptor.
    pager: Arc<Pager>,
    /// Where DuckDB's threads have the bucket asked.
    tasks: Handle,
    damage: Damage,
    /// DuckDB has opened the database.
    attached: AtomicBool,
    /// A write was refused since the last freeze, for what no manifest holds.
    refused: AtomicBool,
    /// DuckDB was given an error of the disk or the bucket.
    failed: AtomicBool,
    interlock: Arc<Interlock>,
    /// Whether each file is there, as far as DuckDB is concerned.
    exists: [AtomicBool; 4],
    /// Our checkpoint runs, with the write gate closed.
    checkpointing: AtomicBool,
    changes: Mutex<Changes>,
    commits: watch::Sender<Lsn>,
    /// Told when a commit waits for a publish.
    held: Notify,
    renames: Renames,
    environment: Environment,
}

/// The file system of one tenant's database.
#[derive(Clone)]
pub struct LocalFiles(Arc<Shared>);

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

    /// What the engine opens its files through. The next statement that reaches it must be the ATTACH.
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

    /// What the engine tells of transactions that rename tables.
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

    /// What no freeze has taken.
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
    fn noting<T>(&self, result: Result<T, VfsError>) -> Result<T, VfsError> {
        if result.is_err() {
            self.0.failed.store(true, SeqCst);
        }
        result
    }

    fn is_checkpointing(&self) -> bool {
        self.0.checkpointing.load(SeqCst)
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to the WAL, unless it is our checkpoint's own doing.
    fn note_wal(&self, note: impl FnOnce(&mut Tail) -> Result<(), TailError>) -> Result<(), VfsError> {
        if self.is_checkpointing() {
            return Ok(());
        }
        note(&mut self.changes().tail).map_err(|error| VfsError::fatal(error.to_string()))
    }

    /// A WAL sync: whatever it covers is committed.
    fn note_commit(&self, verdict: Verdict) -> Result<(), VfsError> {
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

    fn path_of(&self, file: DatabaseFile) -> PathBuf {
        self.0.folder.join(file_name(file))
    }

    fn file(&self, path: &str) -> Result<DatabaseFile, VfsError> {
        let refused = || VfsError::refused(format!("{path} is not a file of this database"));
        self.0.interlock.file(path).ok_or_else(refused)
    }

    /// Whether DuckDB is to find this file.
    fn is_there(&self, file: DatabaseFile) -> bool {
        let missing = file == DatabaseFile::Wal && broken(Mutation::TheWalIsMissing);
        self.existence(file).load(SeqCst) && !missing
    }

    fn existence(&self, file: DatabaseFile) -> &AtomicBool {
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

impl Vfs for LocalFiles {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let file = self.file(path)?;
        tracing::debug!(path, ?flags, "engine opens a file");
        if !self.is_there(file) && !flags.create() {
            if flags.null_if_not_exists() {
                return Ok(None);
            }
            return Err(VfsError::io(format!("{path} does not exist")));
        }
        let opened: Box<dyn VfsFile> = match file {
            DatabaseFile::Main => Box::new(main_file::MainFile::new(self.clone())),
            DatabaseFile::Wal => Box::new(wal::WalFile::open(self.clone())?),
            // Every process starts from a checkpoint and checkpoints with the gate closed: there is nothing to
            // recover, and no commit during a checkpoint.
            DatabaseFile::CheckpointWal | DatabaseFile::RecoveryWal => {
                return Err(VfsError::fatal(format!("{path} was asked for, which cannot be")));
            }
        };
        self.existence(file).store(true, SeqCst);
        Ok(Some(opened))
    }

    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        Ok(self.is_there(self.file(path)?))
    }

    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        let file = self.file(path)?;
        if !self.existence(file).swap(false, SeqCst) {
            return Ok(false);
        }
        tracing::debug!(path, "engine removes a file");
        std::fs::remove_file(self.path_of(file))?;
        Ok(true)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        // Renames happen only in recovery, and there is nothing to recover.
        Err(VfsError::fatal(format!("{from} was to be renamed to {to}, which cannot be")))
    }
}
