//! Reconciling by the elected replica: what changed is watched and queued, and looked at by the reconciler of its kind.

mod elected;
pub mod expiry;
mod index;
pub mod left_behind;
mod queue;
mod run;
mod watch;

pub use elected::Elected;
pub use index::{Index, SnapshotRecord, TenantRecord};
pub use queue::{Key, Queue, Queues};
pub use run::{Reconcile, ReconcileError, Requeue, drive};
pub use watch::watch_all;
