//! Transactions that have altered something and are still open.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How many transactions that ran an ALTER are open. Clones count the same.
///
/// DuckDB gives a table its new name for everybody before the rename is committed: what another transaction commits
/// meanwhile is logged under a name that may never be.
#[derive(Debug, Clone, Default)]
pub struct Alterations(Arc<AtomicUsize>);

impl Alterations {
    /// One begins, or ends.
    pub fn note(&self, begins: bool) {
        if begins {
            self.0.fetch_add(1, SeqCst);
        } else {
            self.0.fetch_sub(1, SeqCst);
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}
