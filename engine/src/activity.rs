//! Activity of the engine, for the decision to evict.
use std::sync::atomic::{AtomicUsize, Ordering};

/// Activity of an engine at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Statements and requests that have not ended.
    pub running: usize,
    /// Explicit transactions that are open.
    pub open_transactions: usize,
}

/// The counters behind [`Activity`].
pub(crate) struct ActivityCounters {
    running: AtomicUsize,
    open_transactions: AtomicUsize,
}

impl ActivityCounters {
    pub fn new() -> Self {
        Self { running: AtomicUsize::new(0), open_transactions: AtomicUsize::new(0) }
    }

    /// A statement or request begins.
    pub fn began(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    /// It has ended.
    pub fn ended(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
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
        }
    }
}
