//! The pod of a branch that wakes, and the places of its class.

use std::time::Duration;

use async_trait::async_trait;
use roost_protocol::problem::Problem;

use super::eviction::Occupant;
use crate::{pods::PodView, slots::Taken, wake::finding::Target};

/// Answer to the creation of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// It is ours.
    Pod(Box<PodView>),
    /// One of this name exists: another replica was first, or the previous one is not gone yet.
    Exists,
}

/// Finds, makes and removes pods.
#[async_trait]
pub trait BranchPods: Send + Sync + 'static {
    /// The branch's pod.
    /// Errors: `busy`.
    async fn pod(&self, target: &Target) -> Result<Option<PodView>, Problem>;
    /// Returns when the pod changed (true), or after `at_most`, or when nobody can watch it.
    async fn changed(&self, pod: &PodView, at_most: Duration) -> bool;
    /// Takes a slot of the class; none at its ceiling.
    /// Errors: `busy`.
    async fn take_slot(&self, target: &Target) -> Result<Option<Taken>, Problem>;
    /// Gives back a slot that no pod occupies.
    async fn free_slot(&self, target: &Target, slot: &Taken);
    /// Creates the pod in a slot.
    /// Errors: `internal`.
    async fn create(&self, target: &Target, slot: &Taken) -> Result<Created, Problem>;
    /// The pods that have the places of the target's class.
    /// Errors: `busy`.
    async fn occupants(&self, target: &Target) -> Result<Vec<Occupant>, Problem>;
    /// The template that the target's pod would be made of today, as [`PodView::template`] tells it of one that exists.
    fn template(&self, target: &Target) -> Option<String>;
    /// Asks for the removal of a pod that never started; leaves it alone if it changed since it was looked at.
    /// Errors: `busy`.
    async fn remove(&self, pod: &PodView) -> Result<(), Problem>;
    /// Records the last words of a finished pod and asks for its removal.
    /// Errors: `internal`.
    async fn retire(&self, target: &Target, pod: &PodView) -> Result<(), Problem>;
}
