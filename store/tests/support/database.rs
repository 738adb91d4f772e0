//! A model of a database: a main file of chunks, a WAL of commits, checkpoints.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use roost_store::chunk::{HEADER_BYTES, chunk_count, chunk_range};
use roost_store::stream::{Cut, Lsn, Replay, Tail};
use roost_store::{ChunkSet, DatabaseId, Freeze, Frozen, LocalDatabase, LocalError};

/// Bytes of one WAL record: the commit, the chunk, and whether its content was written to the main file; or
/// [`FLUSH`], 0, and how many chunks there are then; or [`UNPROVEN`].
const RECORD: usize = 24;
/// Begins the record that ends a commit.
const FLUSH: u64 = u64::MAX;
/// Begins a record that no replay may meet.
const UNPROVEN: u64 = u64::MAX - 2;

/// Content of a file: the commit that wrote each chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pub file_size: u64,
    pub versions: Vec<u64>,
}

impl Content {
    pub fn chunk(&self, index: u64) -> Vec<u8> {
        let range = chunk_range(index, self.file_size);
        let mut raw = vec![0; (range.end - range.start) as usize];
        raw[..8].copy_from_slice(&self.versions[index as usize].to_le_bytes());
        raw[8..16].copy_from_slice(&index.to_le_bytes());
        raw
    }

    /// The last commit: every one writes chunk 0.
    pub fn commit(&self) -> u64 {
        self.versions[0]
    }

    /// Reads the content that opening a file with the WAL beside it gives.
    pub fn read(path: &Path) -> Self {
        let mut content = Self::main_file(path);
        let Ok(wal) = std::fs::read(path.with_file_name(wal_name(path))) else { return content };
        let disk = content.clone();
        let mut ended = false;
        for record in wal.chunks(RECORD) {
            let field = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
            let (commit, chunk, in_main) = (field(0), field(8), field(16) == 1);
            assert_ne!(commit, UNPROVEN, "the WAL holds a commit that cannot be replayed");
            ended = commit == FLUSH;
            if ended {
                content.truncate(field(16));
                continue;
            }
            if in_main {
                assert_eq!(
                    disk.versions.get(chunk as usize),
                    Some(&commit),
                    "chunk {chunk} is not what the WAL refers to"
                );
            }
            content.set(chunk, commit);
        }
        assert!(ended, "the WAL ends within a commit");
        content
    }

    fn truncate(&mut self, count: u64) {
        self.versions.truncate(count as usize);
        self.file_size = file_size(count);
    }

    fn main_file(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let file_size = bytes.len() as u64;
        let versions = (0..chunk_count(file_size)).map(|index| {
            let range = chunk_range(index, file_size);
            let chunk = &bytes[range.start as usize..range.end as usize];
            assert!(
                chunk[8..16] == index.to_le_bytes() || chunk.iter().all(|byte| *byte == 0),
                "chunk {index} is elsewhere"
            );
            u64::from_le_bytes(chunk[..8].try_into().unwrap())
        });
        Self { file_size, versions: versions.collect() }
    }

    fn set(&mut self, chunk: u64, commit: u64) {
        let count = (chunk + 1).max(self.versions.len() as u64);
        self.versions.resize(count as usize, 0);
        self.file_size = file_size(count);
        self.versions[chunk as usize] = commit;
    }
}

fn wal_name(path: &Path) -> std::ffi::OsString {
    let mut name = path.file_name().unwrap().to_owned();
    name.push(".wal");
    name
}

/// Bytes of a file of `chunks` chunks whose last one is short.
fn file_size(chunks: u64) -> u64 {
    chunk_range(chunks - 1, u64::MAX).start + if chunks == 1 { HEADER_BYTES } else { 1_000 }
}

/// All commits ever made by anybody: what the database held right after each, and what came before.
#[derive(Debug, Default)]
pub struct Ledger {
    pub states: BTreeMap<u64, (Content, Vec<u64>)>,
    next: u64,
}

/// A database of a few chunks.
#[derive(Debug)]
pub struct ModelDatabase {
    ledger: Arc<Mutex<Ledger>>,
    state: Mutex<Model>,
    /// Held from a cut to the end of its shipping: a checkpoint in between would take its WAL away.
    cutting: tokio::sync::Mutex<()>,
    pub id: DatabaseId,
    pub reads: AtomicU64,
}

#[derive(Debug)]
struct Model {
    /// The content that queries see.
    content: Content,
    /// The main file.
    disk: Content,
    wal: Vec<u8>,
    tail: Tail,
    history: Vec<u64>,
    dirty: ChunkSet,
    frozen: Option<Content>,
    sealed: bool,
}

impl Model {
    fn write(&mut self, chunk: u64, commit: u64) {
        self.disk.set(chunk, commit);
        self.dirty.insert(chunk);
        let range = chunk_range(chunk, self.disk.file_size);
        self.tail.main_written(range.start, range.end - range.start);
    }

    fn append(&mut self, record: &[u8; RECORD]) {
        self.tail.wal_written(self.wal.len() as u64, RECORD as u64).unwrap();
        self.wal.extend_from_slice(record);
    }
}

impl ModelDatabase {
    /// A database after manifest `manifest`: what hydration built at `path`, or an empty one.
    pub fn open(ledger: Arc<Mutex<Ledger>>, path: Option<&Path>, manifest: u64) -> Self {
        let (disk, content) =
            path.map(|path| (Content::main_file(path), Content::read(path))).unwrap_or_default();
        let history = match content.versions.first() {
            Some(commit) => ledger.lock().unwrap().states[commit].1.clone(),
            None => Vec::new(),
        };
        let model = Model {
            content,
            disk,
            wal: Vec::new(),
            tail: Tail::new(manifest, None),
            history,
            dirty: ChunkSet::new(),
            frozen: None,
            sealed: false,
        };
        let id = DatabaseId::from_bytes([1; 16]);
        Self {
            ledger,
            state: Mutex::new(model),
            cutting: tokio::sync::Mutex::default(),
            id,
            reads: AtomicU64::new(0),
        }
    }

    /// Commits a new version of chunk 0 and `chunks`, in the WAL alone. Returns the commit.
    pub fn commit(&self, chunks: &[u64]) -> u64 {
        self.commit_with(chunks, &[])
    }

    /// The same with `bulk` chunks that are written to the main file before the commit, as bulk loads are.
    pub fn commit_with(&self, chunks: &[u64], bulk: &[u64]) -> u64 {
        self.commit_as(chunks, bulk, Replay::Proven)
    }

    /// Commits what cannot be replayed.
    pub fn commit_unproven(&self, chunks: &[u64]) -> u64 {
        self.commit_as(chunks, &[], Replay::Unproven)
    }

    fn commit_as(&self, chunks: &[u64], bulk: &[u64], replay: Replay) -> u64 {
        let state = &mut *self.state.lock().unwrap();
        assert!(!state.sealed, "a commit after the seal");
        let mut ledger = self.ledger.lock().unwrap();
        ledger.next += 1;
        let commit = ledger.next;
        for chunk in bulk {
            state.write(*chunk, commit);
        }
        state.tail.main_synced();
        let known = state.content.versions.len() as u64;
        let last = chunks.iter().chain(bulk).max().copied().unwrap_or_default();
        let grown = (known..last).filter(|chunk| !bulk.contains(chunk));
        for chunk in chunks.iter().copied().chain([0]).chain(grown) {
            state.append(&record(commit, chunk, 0));
            state.content.set(chunk, commit);
        }
        for chunk in bulk {
            state.append(&record(commit, *chunk, 1));
            state.content.set(*chunk, commit);
        }
        if replay == Replay::Unproven {
            state.append(&record(UNPROVEN, 0, 0));
        }
        state.append(&record(FLUSH, 0, state.content.versions.len() as u64));
        state.tail.wal_synced(Self::time_of(commit), state.disk.file_size, replay);
        state.history.push(commit);
        ledger.states.insert(commit, (state.content.clone(), state.history.clone()));
        commit
    }

    /// When a commit was made.
    pub fn time_of(commit: u64) -> Timestamp {
        Timestamp::from_microsecond(1_800_000_000_000_000 + commit as i64).unwrap()
    }

    /// A transaction that wrote a chunk to the main file, and records to the WAL, and failed.
    pub fn fail(&self, bulk: u64) {
        let state = &mut *self.state.lock().unwrap();
        state.write(bulk, u64::MAX);
        let length = state.wal.len();
        state.append(&record(u64::MAX - 1, bulk, 1));
        state.wal.truncate(length);
        state.tail.wal_truncated(length as u64).unwrap();
    }

    /// Number of the first chunk that no commit has used; a failed transaction may have.
    pub fn free(&self) -> u64 {
        self.state.lock().unwrap().content.versions.len().max(1) as u64
    }

    /// The last commit and where it ends.
    pub fn committed(&self) -> (Option<u64>, Lsn) {
        let state = self.state.lock().unwrap();
        (state.history.last().copied(), state.tail.committed())
    }

    /// Takes the next segment's commits and gives them to `ship`, if there are any.
    pub async fn ship<T>(&self, target: u64, ship: impl AsyncFnOnce(Cut) -> T) -> Option<T> {
        let _turn = self.cutting.lock().await;
        let cut = self.state.lock().unwrap().tail.cut(target)?;
        Some(ship(cut).await)
    }

    pub fn dirty(&self) -> u64 {
        self.state.lock().unwrap().dirty.len()
    }

    pub fn touch(&self, chunk: u64) {
        self.state.lock().unwrap().dirty.insert(chunk);
    }
}

fn record(commit: u64, chunk: u64, last: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&commit.to_le_bytes());
    record[8..16].copy_from_slice(&chunk.to_le_bytes());
    record[16..].copy_from_slice(&last.to_le_bytes());
    record
}

#[async_trait]
impl LocalDatabase for ModelDatabase {
    async fn freeze(&self, purpose: Freeze) -> Result<Frozen, LocalError> {
        let _turn = self.cutting.lock().await;
        let state = &mut *self.state.lock().unwrap();
        state.sealed = purpose == Freeze::Seal;
        for (chunk, version) in state.content.versions.clone().into_iter().enumerate() {
            if state.disk.versions.get(chunk) != Some(&version) {
                state.write(chunk as u64, version);
            }
        }
        // Blocks that a failed transaction left are free; the checkpoint cuts those at the end off.
        state.disk = state.content.clone();
        state.frozen = Some(state.disk.clone());
        // An empty file has no state to publish.
        let written = purpose == Freeze::First || !state.wal.is_empty() || !state.dirty.is_empty();
        let rotated = state.disk.file_size > 0 && written;
        if rotated {
            state.wal.clear();
            state.tail.rotate();
        }
        Ok(Frozen {
            file_size: state.disk.file_size,
            dirty: std::mem::take(&mut state.dirty),
            database_id: self.id,
            boot: [0].into_iter().collect(),
            last_commit: state.tail.last_commit(),
            rotated,
            engine_version: "1.5.5".into(),
            storage_version: "v1.5.0".into(),
        })
    }
    async fn read_chunk(&self, index: u64, length: usize) -> Result<Bytes, LocalError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let state = self.state.lock().unwrap();
        // A checkpointed chunk is not rewritten before the next checkpoint; newer ones are read as they are.
        let frozen = state.frozen.as_ref().filter(|frozen| index < frozen.versions.len() as u64);
        let mut raw = frozen.unwrap_or(&state.disk).chunk(index);
        raw.resize(length, 0);
        Ok(raw.into())
    }
    async fn read_wal(&self, range: Range<u64>) -> Result<Bytes, LocalError> {
        let state = self.state.lock().unwrap();
        Ok(Bytes::copy_from_slice(&state.wal[range.start as usize..range.end as usize]))
    }
}
