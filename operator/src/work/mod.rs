//! Work for the elected replica: what changed, in which order it is looked at again, and who does it.

mod index;
mod queue;
mod run;
mod watch;

pub use index::{Index, SnapshotRecord, TenantRecord};
pub use queue::{Key, Queue, Queues};
pub use run::{Reconcile, ReconcileError, Requeue, drive};
pub use watch::watch_all;
