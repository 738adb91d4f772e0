//! What goes on in the engine, for the decision to evict.
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What goes on in an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Statements and requests that have not ended.
    pub running: usize,
    /// Explicit transactions that are open.
    pub open_transactions: usize,
    /// When the last request came; when the engine was opened if none did.
    pub last_received: Instant,
}

/// The counters behind [`Activity`].
pub(crate) struct ActivityCounters {
    running: AtomicUsize,
    open_transactions: AtomicUsize,
    last_received: Mutex<Instant>,
}

impl ActivityCounters {
    pub fn new() -> Self {
        Self {
            running: AtomicUsize::new(0),
            open_transactions: AtomicUsize::new(0),
            last_received: Mutex::new(Instant::now()),
        }
    }

    /// A statement or request begins.
    pub fn began(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    /// It has ended.
    pub fn ended(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    pub fn received(&self) {
        *self.last_received.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub fn transaction_opened(&self) {
        self.open_transactions.fetch_add(1, Ordering::Relaxed);
    }

    pub fn transaction_ended(&self) {
        self.open_transactions.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn read(&self) -> Activity {
        Activity {
            running: self.running.load(Ordering::SeqCst),
            open_transactions: self.open_transactions.load(Ordering::Relaxed),
            last_received: *self.last_received.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}
