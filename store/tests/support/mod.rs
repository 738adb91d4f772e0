//! A virtual clock, a seeded generator and a model database, for tests of the protocol.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::cast_possible_truncation, missing_docs)]

mod database;
pub mod listing_server;
pub mod whole_file;
pub mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub use database::{Content, Ledger, ModelDatabase};
use jiff::Timestamp;
use roost_store::{BranchObject, ClassKeys, Clock, Compute, Environment, Owner, Randomness, TenantPath};

/// A Branch object named dev.
pub fn branch_object(uid: &str) -> BranchObject<'_> {
    BranchObject { name: "dev", uid }
}

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

/// Keys of a class that encrypts.
pub fn class_keys() -> Arc<ClassKeys> {
    Arc::new(ClassKeys::new("2026", [("2026", &*"5a".repeat(32))]).unwrap())
}
