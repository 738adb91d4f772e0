//! Transactions that have altered something and are still open.
use roost_duckdb::Altering;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// How many transactions that ran an ALTER are open. Clones count the same.
///
/// DuckDB gives a table its new name for everybody before the rename is committed: what another transaction commits
/// meanwhile is logged under a name that may never be.
#[derive(Debug, Clone, Default)]
pub struct Alterations(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    open: AtomicUsize,
    /// One was rolled back since a commit was last asked about: that commit may have been logged before.
    rolled_back: AtomicBool,
}

impl Alterations {
    /// One begins, or has ended.
    pub fn note(&self, what: Altering) {
        match what {
            Altering::Begins => {
                self.0.open.fetch_add(1, SeqCst);
            }
            // It was logged before whatever is logged from here on.
            Altering::Committed => {
                self.0.open.fetch_sub(1, SeqCst);
            }
            Altering::RolledBack => {
                self.0.rolled_back.store(true, SeqCst);
                self.0.open.fetch_sub(1, SeqCst);
            }
        }
    }

    /// Whether any others than `own` may have been open while a commit that ends now was logged.
    pub(super) fn beside(&self, own: usize) -> bool {
        let open = self.0.open.load(SeqCst);
        self.0.rolled_back.swap(false, SeqCst) || open > own
    }
}
