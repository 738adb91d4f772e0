//! What the elected replica's reconcilers share.

use std::sync::Arc;

use roost_store::reachability::KnownManifests;

use crate::{
    context::Context,
    trouble::Troubles,
    work::{Index, Queues},
};

/// Lives as long as this replica is elected.
pub struct Elected {
    /// The process's context.
    pub context: Arc<Context>,
    /// What the watches saw.
    pub index: Arc<Index>,
    /// What is to be looked at.
    pub queues: Queues,
    /// What went wrong lately.
    pub troubles: Troubles,
    /// What collections have read of tenants' pasts.
    pub known_manifests: KnownManifests,
}
