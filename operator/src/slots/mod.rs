//! The ceiling of a class as Leases: whoever holds `<class hash>-<n>`, n < active, may have a pod. No count from a
//! cache decides; a create that the API server accepts does.

mod claim;
mod leases;

pub use claim::{Next, Slot, next};
pub use leases::{SlotError, Slots, Taken};
