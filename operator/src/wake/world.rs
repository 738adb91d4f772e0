//! The two traits that the flight is written over: the API server, and the runtime pods.

use std::time::Duration;

use async_trait::async_trait;
use roost_protocol::{BranchKey, problem::Problem, status::RuntimeStatus};

use super::{room::Occupant, target::Target};
use crate::{pods::PodView, runtime_client::CallError, slots::Taken};

/// Answer to the creation of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// It is ours.
    Pod(Box<PodView>),
    /// One of this name exists: another replica was first, or the previous one is not gone yet.
    Exists,
}

/// The API server, as far as a wake needs it.
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// Finds what a key names and whether it may be woken.
    async fn target(&self, key: &BranchKey) -> Result<Target, Problem>;
    /// The branch's pod.
    async fn pod(&self, target: &Target) -> Result<Option<PodView>, Problem>;
    /// Returns when the pod changed (true), or after `at_most`, or when nobody can watch it.
    async fn changed(&self, pod: &PodView, at_most: Duration) -> bool;
    /// Takes a slot of the class; none at its ceiling.
    async fn take_slot(&self, target: &Target) -> Result<Option<Taken>, Problem>;
    /// Gives back a slot that no pod occupies.
    async fn free_slot(&self, target: &Target, slot: &Taken);
    /// Creates the pod in a slot.
    async fn create(&self, target: &Target, slot: &Taken) -> Result<Created, Problem>;
    /// Who has the places of the target's class.
    async fn occupants(&self, target: &Target) -> Result<Vec<Occupant>, Problem>;
    /// Says in status that a wake waits for a place.
    async fn waits(&self, target: &Target, problem: &Problem);
    /// Says where people look that a wake failed.
    async fn failed(&self, target: &Target, problem: &Problem);
    /// Takes back what status says of failed wakes.
    async fn recovered(&self, target: &Target);
    /// What the target's pod would be made of today, as [`PodView::template`] tells it of one that exists.
    fn template(&self, target: &Target) -> Option<String>;
    /// Asks for the removal of a pod that never started; leaves it alone if it changed since it was looked at.
    async fn remove(&self, pod: &PodView) -> Result<(), Problem>;
    /// Records the last words of a finished pod and asks for its removal.
    async fn retire(&self, target: &Target, pod: &PodView) -> Result<(), Problem>;
}

/// Runtime pods, as far as a wake needs them.
#[async_trait]
pub trait Runtimes: Send + Sync + 'static {
    /// Hands the pod its grant; the answer comes when it serves.
    async fn grant(
        &self,
        target: &Target,
        pod: &PodView,
        at_most: Duration,
    ) -> Result<RuntimeStatus, CallError>;
    /// Asks the pod for its state.
    async fn report(&self, pod: &PodView) -> Result<RuntimeStatus, CallError>;
    /// Makes the pod publish, seal and leave.
    async fn drain(&self, pod: &PodView) -> Result<(), Problem>;
}
