//! A wrapper that makes a store fail in every way a bucket can, by a seed.
//!
//! It stands for one process's way to the bucket: answers get lost before or after the request took effect,
//! requests arrive twice or late, the endpoint answers 409, 429 or 5xx, and the process is killed or frozen at
//! the await of any request. Use it on a single-threaded runtime: the same seed then gives the same run.

use std::future::pending;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::SignedDuration;

use super::{Changed, Condition, ETag, Listing, Object, ObjectError, ObjectStore};

/// Chances, in 1,000, of what may happen to a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Never arrives; answered as a time-out.
    pub lost: u32,
    /// Takes effect; its answer is lost.
    pub answer_lost: u32,
    /// Is answered as a time-out and takes effect later, before some other request of this process.
    pub late: u32,
    /// Takes effect twice, one after the other.
    pub duplicated: u32,
    /// Is answered 409, 429 or 503 without effect.
    pub refused: u32,
    /// Most yields to other tasks before and after a request.
    pub delay: u32,
    /// First request of an outage, in which none gets through.
    pub outage_from: u64,
    /// Requests that the outage swallows; 0: there is none.
    pub outage_length: u64,
}

impl Faults {
    /// All of them, often enough to meet and rarely enough to get past.
    pub const fn frequent() -> Self {
        Self {
            lost: 30,
            answer_lost: 40,
            late: 20,
            duplicated: 30,
            refused: 40,
            delay: 12,
            outage_from: 0,
            outage_length: 0,
        }
    }
}

/// End or pause of the process at one of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Never asks again, nor hears the answer.
    Kill {
        /// Number of the request, from 0.
        request: u64,
        /// Whether that request still takes effect.
        after_effect: bool,
    },
    /// Stands still at the request until [`FaultStore::thaw`].
    Freeze {
        /// Number of the request, from 0.
        request: u64,
        /// Whether it takes effect before the pause.
        after_effect: bool,
    },
}

/// A store as one unlucky process sees it.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    faults: Faults,
    stop: Option<Stop>,
    random: Mutex<u64>,
    requests: AtomicU64,
    stopped: AtomicBool,
    thawed: tokio::sync::Notify,
    late: Mutex<Vec<(String, Bytes, Condition)>>,
}

impl FaultStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ObjectStore>, seed: u64, faults: Faults, stop: Option<Stop>) -> Self {
        Self {
            inner,
            faults,
            stop,
            random: Mutex::new(seed),
            requests: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            thawed: tokio::sync::Notify::new(),
            late: Mutex::default(),
        }
    }

    /// Requests made so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Whether the process is killed or frozen.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Lets a frozen process go on. False for a killed one, which never does.
    pub fn thaw(&self) -> bool {
        let frozen = matches!(self.stop, Some(Stop::Freeze { .. }));
        if frozen {
            self.stopped.store(false, Ordering::SeqCst);
            self.thawed.notify_one();
        }
        frozen
    }

    /// Lets requests that were answered as time-outs take effect now.
    pub async fn deliver_late(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, bytes, condition) in late {
            // Nobody hears this answer.
            let _unheard = self.inner.put(&key, bytes, condition).await;
        }
    }

    /// The splitmix64 generator: small, and the same everywhere.
    fn next(&self) -> u64 {
        let mut state = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn happens(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.next() % 1_000 < u64::from(per_mille)
    }

    async fn delay(&self) {
        for _ in 0..self.next() % (u64::from(self.faults.delay) + 1) {
            tokio::task::yield_now().await;
        }
    }

    async fn halt(&self, stop: Stop) {
        self.stopped.store(true, Ordering::SeqCst);
        match stop {
            Stop::Kill { .. } => pending().await,
            Stop::Freeze { .. } => self.thawed.notified().await,
        }
    }

    /// Counts this request; returns what stops the process before it, and after it.
    fn stops(&self) -> (Option<Stop>, Option<Stop>) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        match self.stop {
            Some(stop @ (Stop::Kill { request, after_effect } | Stop::Freeze { request, after_effect }))
                if request == number =>
            {
                if after_effect {
                    (None, Some(stop))
                } else {
                    (Some(stop), None)
                }
            }
            _ => (None, None),
        }
    }

    async fn request<'a, T: Send>(
        &'a self,
        key: &str,
        send: impl Fn() -> BoxFuture<'a, Result<T, ObjectError>> + Send + Sync,
        write: Option<(Bytes, Condition)>,
    ) -> Result<T, ObjectError> {
        let undecided =
            |message: &str| Err(ObjectError::Undecided { key: key.into(), message: message.into() });
        let (before, after) = self.stops();
        if let Some(stop) = before {
            self.halt(stop).await;
        }
        self.delay().await;
        let Faults { outage_from, outage_length, .. } = self.faults;
        if (outage_from..outage_from + outage_length).contains(&(self.requests() - 1)) {
            return undecided("the endpoint is away");
        }
        if self.happens(300) {
            self.deliver_late().await;
        }
        if self.happens(self.faults.lost) {
            return undecided("the request was lost");
        }
        if self.happens(self.faults.refused) {
            return undecided(["409", "429", "503"][usize::try_from(self.next() % 3).unwrap_or(0)]);
        }
        if let Some((bytes, condition)) = write.filter(|_| self.happens(self.faults.late)) {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            late.push((key.to_owned(), bytes, condition));
            return undecided("the request is still under way");
        }
        let twice = self.happens(self.faults.duplicated);
        let mut answer = send().await;
        if twice {
            self.delay().await;
            let second = send().await;
            // Either answer may be the one that arrives: a create may hear of its own success as a conflict.
            if self.happens(500) {
                answer = second;
            }
        }
        if let Some(stop) = after {
            self.halt(stop).await;
        }
        self.delay().await;
        if self.happens(self.faults.answer_lost) {
            return undecided("the answer was lost");
        }
        answer
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        let owned = key.to_owned();
        let send = || -> BoxFuture<'_, _> {
            let key = owned.clone();
            Box::pin(async move { self.inner.get(&key, limit).await })
        };
        self.request(key, send, None).await
    }
    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        let owned = (key.to_owned(), etag.clone());
        let send = || -> BoxFuture<'_, _> {
            let (key, etag) = owned.clone();
            Box::pin(async move { self.inner.get_if_changed(&key, &etag, limit).await })
        };
        self.request(key, send, None).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let owned = (key.to_owned(), range);
        let send = || -> BoxFuture<'_, _> {
            let (key, range) = owned.clone();
            Box::pin(async move { self.inner.get_range(&key, range).await })
        };
        self.request(key, send, None).await
    }
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        let write = Some((bytes.clone(), condition.clone()));
        let owned = (key.to_owned(), bytes, condition);
        let send = || -> BoxFuture<'_, _> {
            let (key, bytes, condition) = owned.clone();
            Box::pin(async move { self.inner.put(&key, bytes, condition).await })
        };
        self.request(key, send, write).await
    }
    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        let owned = (key.to_owned(), path.to_owned(), condition);
        let send = || -> BoxFuture<'_, _> {
            let (key, path, condition) = owned.clone();
            Box::pin(async move { self.inner.put_file(&key, &path, condition).await })
        };
        self.request(key, send, None).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        let owned = (prefix.to_owned(), after.map(str::to_owned));
        let send = || -> BoxFuture<'_, _> {
            let (prefix, after) = owned.clone();
            Box::pin(async move { self.inner.list(&prefix, after.as_deref(), limit).await })
        };
        self.request(prefix, send, None).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let owned = key.to_owned();
        let send = || -> BoxFuture<'_, _> {
            let key = owned.clone();
            Box::pin(async move { self.inner.delete(&key).await })
        };
        self.request(key, send, None).await
    }
    fn clock_ahead(&self) -> Option<SignedDuration> {
        self.inner.clock_ahead()
    }
}
