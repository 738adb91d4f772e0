//! One branch: take over, hydrate, publish, seal, prove; and reading a pinned position.

mod error;
mod hydrate;
mod local_chunks;
mod owned;
mod proof;
mod publish;
mod readable;
mod ship;
mod store;
mod streams;
mod take_over;
pub(crate) mod upload;

pub use crate::state::MAX_RANGE_BYTES;
pub use error::{ProveError, PublishError, PublishRetry, ShipError, TakeOverError};
pub use hydrate::{Hydrated, OpenedFile};
pub use owned::OwnedBranch;
pub use proof::Proof;
pub use publish::Published;
pub use readable::ReadablePosition;
pub use store::BranchStore;
