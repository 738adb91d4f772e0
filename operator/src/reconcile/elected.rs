//! The state that the elected replica's reconcilers share.

use std::sync::Arc;

use roost_store::reachability::KnownManifests;

use super::{index::Index, queue::Queues};
use crate::{context::Context, reasons::BadEndsByBranch};

/// Lives as long as this replica is elected.
pub struct Elected {
    /// The process's context.
    pub context: Arc<Context>,
    /// Records of all that the watches saw.
    pub index: Arc<Index>,
    /// Keys of what is to be looked at.
    pub queues: Queues,
    /// Bad ends of pods lately.
    pub bad_ends: BadEndsByBranch,
    /// Manifests that collections have read of tenants' pasts.
    pub known_manifests: KnownManifests,
}
