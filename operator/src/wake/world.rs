//! The world that a wake is written over, so that tests script it: the API server, and the runtime pods.

use super::{finding::Targets, pods::BranchPods, status::WakeStatus};

pub use super::pods::Runtimes;

/// The API server, as far as a wake needs it.
pub trait Cluster: Targets + BranchPods + WakeStatus {}

impl<T: Targets + BranchPods + WakeStatus> Cluster for T {}
