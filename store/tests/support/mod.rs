//! A model database, a virtual clock and a seeded generator, for tests of the protocol.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::cast_possible_truncation, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use roost_store::chunk::{HEADER_BYTES, chunk_count, chunk_range};
use roost_store::{
    ChunkSet, Clock, Compute, DatabaseId, Environment, Freeze, Frozen, LocalDatabase, LocalError, Owner,
    Randomness, TenantPath,
};

/// Time that moves when somebody looks at it or sleeps.
#[derive(Debug, Default)]
pub struct VirtualClock(AtomicU64);

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(1_800_000_000_000_000 + self.monotonic().as_micros() as i64).unwrap()
    }
    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.fetch_add(1, Ordering::SeqCst))
    }
    async fn sleep(&self, duration: Duration) {
        self.0.fetch_add(duration.as_micros() as u64, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

/// splitmix64.
#[derive(Debug)]
pub struct Seeded(Mutex<u64>);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Randomness for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            part.copy_from_slice(&next[..part.len()]);
        }
    }
}

pub fn environment(seed: u64) -> (Environment, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::default());
    let randomness = Arc::new(Seeded::new(seed));
    (Environment { clock: clock.clone(), randomness, compute: Compute::Inline }, clock)
}

pub fn owner() -> Owner {
    Owner { cluster_id: "cluster".into(), namespace_uid: "namespace".into(), tenant_uid: "tenant".into() }
}

pub fn path() -> TenantPath {
    TenantPath::new("prod", "shop", "acme").unwrap()
}

/// What the model's file says: the last commit in it, and the commit that wrote each chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// The last commit: chunk 0 is written by every one.
    pub fn commit(&self) -> u64 {
        self.versions[0]
    }

    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let file_size = bytes.len() as u64;
        let versions = (0..chunk_count(file_size)).map(|index| {
            let range = chunk_range(index, file_size);
            let chunk = &bytes[range.start as usize..range.end as usize];
            assert_eq!(chunk[8..16], index.to_le_bytes(), "chunk {index} is somewhere else");
            u64::from_le_bytes(chunk[..8].try_into().unwrap())
        });
        Self { file_size, versions: versions.collect() }
    }
}

/// All commits ever made by anybody: what the file was right after each, and what came before.
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
    pub id: DatabaseId,
    pub reads: AtomicU64,
}

#[derive(Debug)]
struct Model {
    content: Content,
    history: Vec<u64>,
    dirty: ChunkSet,
    frozen: Option<Content>,
    sealed: bool,
}

/// Bytes of a file of `chunks` chunks whose last one is short.
pub fn file_size(chunks: u64) -> u64 {
    chunk_range(chunks - 1, u64::MAX).start + if chunks == 1 { HEADER_BYTES } else { 1_000 }
}

impl ModelDatabase {
    pub fn new(ledger: Arc<Mutex<Ledger>>, opened: Option<Content>) -> Self {
        let content = opened.unwrap_or(Content { file_size: 0, versions: Vec::new() });
        let history = match content.versions.first() {
            Some(commit) => ledger.lock().unwrap().states[commit].1.clone(),
            None => Vec::new(),
        };
        let model = Model { content, history, dirty: ChunkSet::new(), frozen: None, sealed: false };
        let id = DatabaseId::from_bytes([1; 16]);
        Self { ledger, state: Mutex::new(model), id, reads: AtomicU64::new(0) }
    }

    /// Commits: chunk 0 and `chunks` get a new version; the file grows as needed. Returns the commit.
    pub fn commit(&self, chunks: &[u64]) -> u64 {
        let mut state = self.state.lock().unwrap();
        assert!(!state.sealed, "a commit after the seal");
        let mut ledger = self.ledger.lock().unwrap();
        ledger.next += 1;
        let commit = ledger.next;
        let count =
            chunks.iter().map(|chunk| chunk + 1).max().unwrap_or(1).max(state.content.versions.len() as u64);
        let grown = state.content.versions.len() as u64..count;
        state.content.versions.resize(count as usize, 0);
        state.content.file_size = file_size(count);
        for index in chunks.iter().copied().chain([0]).chain(grown) {
            state.content.versions[index as usize] = commit;
            state.dirty.insert(index);
        }
        state.history.push(commit);
        ledger.states.insert(commit, (state.content.clone(), state.history.clone()));
        commit
    }

    pub fn dirty(&self) -> u64 {
        self.state.lock().unwrap().dirty.len()
    }

    pub fn touch(&self, chunk: u64) {
        self.state.lock().unwrap().dirty.insert(chunk);
    }
}

#[async_trait]
impl LocalDatabase for ModelDatabase {
    async fn freeze(&self, purpose: Freeze) -> Result<Frozen, LocalError> {
        let mut state = self.state.lock().unwrap();
        state.sealed = purpose == Freeze::Seal;
        state.frozen = Some(state.content.clone());
        Ok(Frozen {
            file_size: state.content.file_size,
            dirty: std::mem::take(&mut state.dirty),
            database_id: self.id,
            last_commit: None,
            engine_version: "1.5.5".into(),
            storage_version: "v1.5.0".into(),
        })
    }
    async fn read_chunk(&self, index: u64, length: usize) -> Result<Bytes, LocalError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let raw = self.state.lock().unwrap().frozen.as_ref().unwrap().chunk(index);
        assert_eq!(raw.len(), length);
        Ok(raw.into())
    }
    async fn restore(&self, dirty: ChunkSet) {
        self.state.lock().unwrap().dirty.union(&dirty);
    }
}
