//! Changes to tables in this process that the log does not tell: renames that are open or have failed, and whether
//! tables were altered.
use roost_duckdb::Renaming;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Renames that are open, and what is wrong in this process until it ends. Clones are the same.
///
/// DuckDB gives a table its new name for everybody before the rename is committed: what another transaction commits
/// meanwhile is logged under a name that may never be. A rename that fails may leave that name behind.
#[derive(Debug, Clone, Default)]
pub struct Renames(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    open: AtomicUsize,
    /// One was rolled back since a commit was last asked about: that commit may have been logged before.
    rolled_back: AtomicBool,
    /// One has failed.
    failed: AtomicBool,
    /// A table was altered: DuckDB may have forgotten what refers to it.
    altered: AtomicBool,
}

impl Renames {
    /// A transaction that renames begins, or goes on.
    pub fn note(&self, what: Renaming) {
        match what {
            Renaming::Begins => {
                self.0.open.fetch_add(1, SeqCst);
            }
            Renaming::Failed => self.0.failed.store(true, SeqCst),
            // It was logged before whatever is logged from here on.
            Renaming::Committed => {
                self.0.open.fetch_sub(1, SeqCst);
            }
            Renaming::RolledBack => {
                self.0.rolled_back.store(true, SeqCst);
                self.0.open.fetch_sub(1, SeqCst);
            }
        }
    }

    /// Whether the log cannot be trusted any more in this process: it should end when nobody needs it.
    pub fn have_failed(&self) -> bool {
        self.0.failed.load(SeqCst)
    }

    /// Whether a commit that ends now may have been logged under a wrong name. `own` renames are its own.
    pub(super) fn beside(&self, own: usize) -> bool {
        let open = self.0.open.load(SeqCst);
        self.0.rolled_back.swap(false, SeqCst) || open > own || self.have_failed()
    }

    /// Notes that a table was altered in another way than by a rename.
    pub(super) fn note_alteration(&self) {
        self.0.altered.store(true, SeqCst);
    }

    /// Whether any table was altered so.
    pub(super) fn tables_were_altered(&self) -> bool {
        self.0.altered.load(SeqCst)
    }
}
