//! The pager: whatever is read, written, dropped and fetched again, the file is what was written to it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use roost_store::chunk::{BLOCK_BYTES, chunk_count, chunk_range};
use roost_store::object::fault::{FaultStore, Faults};
use roost_store::pager::{Pager, Read};
use roost_store::{
    Adoption, BranchName, ChunkSet, Creation, DatabaseId, Environment, Freeze, Frozen, Holder, HydrateError,
    Hydrated, LocalDatabase, LocalError, MemoryStore, ObjectStore, OpenedFile, OwnedBranch, ReadError,
    Takeover, TenantStore,
};
use support::{Seeded, environment, owner, path};

/// More than the cache holds.
const CHUNKS: u64 = 64;
/// Bytes of the cache: 16 chunks.
const CACHE: u64 = 16 * BLOCK_BYTES;

struct World {
    memory: Arc<MemoryStore>,
    environment: Environment,
    disk: tempfile::TempDir,
    files: AtomicU64,
}

/// A file over a pager, and what it should hold: a version of each chunk.
struct Paged {
    owned: Arc<OwnedBranch>,
    pager: Arc<Pager>,
    versions: Mutex<Vec<u64>>,
    boot: ChunkSet,
}

impl World {
    async fn new(seed: u64) -> Self {
        Self::within(environment(seed).0).await
    }

    async fn within(environment: Environment) -> Self {
        let world = Self {
            memory: Arc::new(MemoryStore::new()),
            environment,
            disk: tempfile::tempdir().unwrap(),
            files: AtomicU64::new(0),
        };
        let tenant = world.tenant(world.memory.clone());
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        world
    }

    fn tenant(&self, store: Arc<dyn ObjectStore>) -> TenantStore {
        TenantStore::new(store, path(), owner(), self.environment.clone())
    }

    fn file(&self) -> PathBuf {
        self.disk.path().join(self.files.fetch_add(1, Ordering::SeqCst).to_string())
    }

    /// Takes main over and opens its file through this store.
    async fn open(&self, store: Arc<dyn ObjectStore>) -> (Arc<OwnedBranch>, OpenedFile) {
        let holder = Holder { name: "pod".into(), id: "pod".into() };
        let branch = self.tenant(store).branch(&BranchName::main());
        let owned = branch.take_over(&holder, Takeover::OnlySealed).await.unwrap();
        let opened = owned.open(&self.file(), CACHE).await.unwrap();
        (owned, opened)
    }

    async fn paged(&self, store: Arc<dyn ObjectStore>, versions: Vec<u64>) -> Paged {
        let (owned, OpenedFile { pager, .. }) = self.open(store).await;
        Paged { owned, pager, versions: Mutex::new(versions), boot: ChunkSet::new() }
    }

    /// Main with so many chunks, sealed.
    async fn filled(&self, chunks: u64, boot: &[u64]) -> Vec<u64> {
        let mut paged = self.paged(self.memory.clone(), Vec::new()).await;
        paged.boot = boot.iter().copied().collect();
        for index in 0..chunks {
            paged.write(index, index + 1).await;
        }
        paged.owned.seal(&paged).await.unwrap();
        paged.versions.into_inner().unwrap()
    }
}

/// Content of a chunk in this version; zeros for 0.
fn content(index: u64, version: u64, length: usize) -> Vec<u8> {
    let mut raw = vec![0; length];
    if version > 0 {
        raw[..8].copy_from_slice(&version.to_le_bytes());
        raw[8..16].copy_from_slice(&index.to_le_bytes());
        // Of no version: what a patch leaves as it was.
        raw[length / 2] = index as u8 | 1;
        raw[length - 8..].copy_from_slice(&version.to_be_bytes());
    }
    raw
}

fn place(index: u64) -> std::ops::Range<u64> {
    chunk_range(index, u64::MAX)
}

impl Paged {
    async fn write(&self, index: u64, version: u64) {
        let range = place(index);
        let raw = content(index, version, (range.end - range.start) as usize);
        while !self.pager.try_write(&raw, range.start).unwrap() {
            self.pager.make_writable(range.start, raw.len() as u64).await.unwrap();
        }
        let mut versions = self.versions.lock().unwrap();
        let length = versions.len().max(index as usize + 1);
        versions.resize(length, 0);
        versions[index as usize] = version;
    }

    /// Rewrites the last 8 bytes and the first of a chunk, which needs the rest of it.
    async fn patch(&self, index: u64, version: u64) {
        let range = place(index);
        let raw = content(index, version, (range.end - range.start) as usize);
        for (from, to) in [(raw.len() - 8, raw.len()), (0, 16)] {
            let offset = range.start + from as u64;
            while !self.pager.try_write(&raw[from..to], offset).unwrap() {
                self.pager.make_writable(offset, (to - from) as u64).await.unwrap();
            }
        }
        self.versions.lock().unwrap()[index as usize] = version;
    }

    async fn truncate(&self, count: u64) {
        let size = place(count - 1).end;
        while !self.pager.try_truncate(size).unwrap() {
            self.pager.make_truncatable(size).await.unwrap();
        }
        self.versions.lock().unwrap().truncate(count as usize);
    }

    async fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, HydrateError> {
        let mut buffer = vec![0; length];
        loop {
            match self.pager.try_read(&mut buffer, offset).unwrap() {
                Read::Done { bytes, ahead } => {
                    if let Some(ahead) = ahead {
                        self.pager.fetch_ahead(ahead).await?;
                    }
                    buffer.truncate(bytes);
                    return Ok(buffer);
                }
                Read::Absent => {
                    let ahead = self.pager.missed(offset, length as u64).unwrap();
                    self.pager.fault(offset, length as u64).await?;
                    if let Some(ahead) = ahead {
                        self.pager.fetch_ahead(ahead).await?;
                    }
                }
            }
        }
    }

    /// Reads some chunks and compares them.
    async fn check(&self, first: u64, count: u64) {
        let expected: Vec<u8> = {
            let versions = self.versions.lock().unwrap();
            let chunks = (first..first + count).filter(|index| *index < versions.len() as u64);
            chunks
                .flat_map(|index| {
                    let range = place(index);
                    content(index, versions[index as usize], (range.end - range.start) as usize)
                })
                .collect()
        };
        let found =
            self.read(place(first).start, (place(first + count - 1).end - place(first).start) as usize);
        assert!(found.await.unwrap() == expected, "chunks {first} to {}", first + count - 1);
    }

    fn count(&self) -> u64 {
        self.versions.lock().unwrap().len() as u64
    }

    async fn publish(&self) {
        self.owned.publish(self).await.unwrap();
        self.pager.published();
    }
}

#[async_trait]
impl LocalDatabase for Paged {
    async fn freeze(&self, _: Freeze) -> Result<Frozen, LocalError> {
        let dirty = self.pager.freeze();
        Ok(Frozen {
            file_size: self.pager.size().unwrap(),
            database_id: DatabaseId::from_bytes([1; 16]),
            boot: self.boot.clone(),
            last_commit: None,
            rotated: !dirty.is_empty(),
            dirty,
            engine_version: "1.5.5".into(),
            storage_version: "v1.5.0".into(),
        })
    }
    async fn read_chunk(&self, index: u64, length: usize) -> Result<Bytes, LocalError> {
        self.pager.chunk(index, length).await.map_err(|error| LocalError::lasting(error.to_string()))
    }
    async fn read_wal(&self, _: std::ops::Range<u64>) -> Result<Bytes, LocalError> {
        Err(LocalError::lasting("there is none"))
    }
}

/// Reads, writes, cuts and publishes at random, in a cache a quarter of the file, through a bucket that delays and
/// fails; then opens the result anew.
async fn schedule(seed: u64) {
    let random = Seeded::new(seed);
    let world = World::new(seed).await;
    let mut versions = world.filled(CHUNKS, &[1, 2, 3]).await;
    let mut next = 1_000;
    for _ in 0..2 {
        let faults = Faults { delay: 6, refused: 30, lost: 20, ..Faults::default() };
        let store = Arc::new(FaultStore::new(world.memory.clone(), random.next(), faults, None));
        let paged = world.paged(store, versions).await;
        for _ in 0..12 {
            match random.below(10) {
                0..=4 => {
                    let reads = (0..4).map(|_| {
                        let first = random.below(paged.count());
                        paged.check(first, 1 + random.below(6))
                    });
                    join_all(reads).await;
                }
                5 => {
                    next += 1;
                    // Beside a read of it, of which nobody says what it sees.
                    let index = random.below(paged.count());
                    let range = place(index);
                    let (read, ()) = futures::join!(paged.read(range.start, 4_096), paged.write(index, next));
                    read.unwrap();
                }
                6 => {
                    next += 1;
                    let index = random.below(paged.count());
                    if paged.versions.lock().unwrap()[index as usize] > 0 {
                        paged.patch(index, next).await;
                    }
                }
                7 => {
                    next += 1;
                    paged.write(paged.count() + random.below(3), next).await;
                }
                8 => {
                    let count = paged.count() - 1 - random.below(19);
                    // Beside reads of what is cut off.
                    let cut = |index| paged.read(place(index).start, BLOCK_BYTES as usize);
                    let (read, other, ()) =
                        futures::join!(cut(count), cut(paged.count() - 1), paged.truncate(count));
                    assert!(read.is_ok() && other.is_ok());
                    assert_eq!(paged.pager.size().unwrap(), place(count - 1).end);
                    paged.publish().await;
                }
                _ => {
                    let first = random.below(paged.count());
                    futures::join!(paged.publish(), paged.check(first, 2));
                }
            }
            let (cached, unpublished) = (paged.pager.counts().cached_bytes, paged.pager.unpublished_bytes());
            assert!(
                // And what the last reads brought all at once.
                cached <= CACHE.max(unpublished + 10 * BLOCK_BYTES) + 32 * BLOCK_BYTES,
                "{cached} bytes are cached"
            );
        }
        for first in (0..paged.count()).step_by(5) {
            paged.check(first, 5).await;
        }
        assert!(paged.pager.counts().evicted_chunks > 0);
        paged.owned.seal(&paged).await.unwrap();
        versions = paged.versions.into_inner().unwrap();
    }
}

#[tokio::test]
async fn the_file_is_what_was_written_to_it() {
    let first = std::env::var("ROOST_SEED").ok().map_or(0, |seed| seed.parse().unwrap());
    let count =
        std::env::var("ROOST_SEEDS").ok().map_or(5, |seeds| seeds.parse::<u64>().unwrap().div_ceil(100));
    for seed in first..first + count {
        println!("seed {seed}");
        schedule(seed).await;
    }
}

#[tokio::test]
async fn opening_costs_the_same_whatever_the_size() {
    let mut costs = Vec::new();
    for chunks in [20, 400] {
        let world = World::new(1).await;
        world.filled(chunks, &[0, 5, 9, 12]).await;
        let store = Arc::new(FaultStore::new(world.memory.clone(), 1, Faults::default(), None));
        let (_owned, opened) = world.open(store.clone()).await;
        assert!(matches!(opened.content, Hydrated::Restored { .. }));
        costs.push((store.requests(), opened.pager.counts().cached_bytes / BLOCK_BYTES));
    }
    assert_eq!(costs[0], costs[1]);
    assert_eq!(costs[0].1, 4, "chunks of the boot set");
}

#[tokio::test]
async fn a_chunk_is_fetched_once_however_many_ask() {
    let world = World::new(2).await;
    let versions = world.filled(40, &[]).await;
    let faults = Faults { delay: 6, ..Faults::default() };
    let store = Arc::new(FaultStore::new(world.memory.clone(), 1, faults, None));
    let paged = world.paged(store, versions).await;
    let before = paged.pager.counts().requests;
    join_all((0..20).map(|_| paged.check(10, 3))).await;
    assert_eq!(paged.pager.counts().requests, before + 1, "neighbours in a pack are one request");
}

#[tokio::test]
async fn a_damaged_chunk_is_an_error_and_never_an_answer() {
    let world = World::new(3).await;
    let versions = world.filled(40, &[]).await;
    let paged = world.paged(world.memory.clone(), versions).await;
    for (key, bytes) in world.memory.contents() {
        if key.contains("/packs/") {
            let mut bytes = bytes.to_vec();
            // Of some chunk in the middle, and of what surrounds it.
            let middle = bytes.len() / 2;
            bytes[middle - 200..middle + 200].iter_mut().for_each(|byte| *byte ^= 0x55);
            world.memory.overwrite(&key, bytes);
        }
    }
    let mut damaged = 0;
    for index in 0..40 {
        let range = place(index);
        match paged.read(range.start, (range.end - range.start) as usize).await {
            Ok(raw) => assert_eq!(raw, content(index, index + 1, raw.len())),
            Err(HydrateError::Read(ReadError::Content { .. })) => damaged += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(damaged > 0);
}

#[tokio::test]
async fn a_failed_fetch_is_tried_again_by_the_next_who_asks() {
    let world = World::new(4).await;
    let versions = world.filled(40, &[]).await;
    let healthy = Arc::new(FaultStore::new(world.memory.clone(), 1, Faults::default(), None));
    let paged = world.paged(healthy.clone(), Vec::new()).await;
    paged.owned.relinquish().await.unwrap();
    // The bucket goes away once the file is open.
    let faults = Faults { outage_from: healthy.requests() - 1, outage_length: 12, ..Faults::default() };
    let store = Arc::new(FaultStore::new(world.memory.clone(), 1, faults, None));
    let paged = world.paged(store, versions).await;
    let range = place(20);
    let mut failures = 0;
    while paged.read(range.start, 100).await.is_err() {
        failures += 1;
        assert!(failures < 20);
    }
    assert!(failures > 0);
    paged.check(18, 4).await;
    assert_eq!(chunk_count(paged.pager.size().unwrap()), 40);
}

#[tokio::test]
async fn reads_go_on_however_much_is_written() {
    let world = World::new(5).await;
    let versions = world.filled(CHUNKS, &[]).await;
    let paged = world.paged(world.memory.clone(), versions).await;
    // Three times the cache, in no manifest.
    for index in 0..3 * CACHE / BLOCK_BYTES {
        paged.write(CHUNKS + index, 1_000 + index).await;
    }
    for first in (0..paged.count()).step_by(4) {
        paged.check(first, 4).await;
    }
    paged.publish().await;
    paged.check(0, 4).await;
    let cached = paged.pager.counts().cached_bytes;
    assert!(cached <= CACHE + 10 * BLOCK_BYTES, "{cached} bytes are cached after the publish");
}

/// Threads read what others do not write, some rewrite their own chunks, and one publishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_see_what_was_written() {
    let world = World::within(Environment::system()).await;
    let versions = world.filled(CHUNKS, &[1, 2]).await;
    let paged = Arc::new(world.paged(world.memory.clone(), versions).await);
    let mut tasks = Vec::new();
    for task in 0..4_u64 {
        let paged = Arc::clone(&paged);
        tasks.push(tokio::spawn(async move {
            let random = Seeded::new(task);
            for turn in 0..150 {
                // Two read the even ones; two have every fourth for themselves, from 1 and from 3 on.
                let index = match task {
                    0 | 1 => random.below(CHUNKS / 2) * 2,
                    _ => random.below(CHUNKS / 4) * 4 + 2 * (task - 2) + 1,
                };
                if task > 1 && turn % 3 == 0 {
                    paged.patch(index, 10_000 + turn).await;
                }
                paged.check(index, 1).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    paged.publish().await;
    for first in 0..CHUNKS {
        paged.check(first, 1).await;
    }
    assert!(paged.pager.counts().evicted_chunks > 0);
}
