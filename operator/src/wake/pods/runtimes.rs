//! The calls that a wake makes to runtime pods.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roost_protocol::{
    command::Order,
    grant::{Serve, Takeover, Task},
    problem::{ErrorCode, Problem},
    status::RuntimeStatus,
};

use super::init_script;
use crate::{
    context::Context,
    pods::PodView,
    reasons::{problem_of_open, problem_of_step},
    runtime::{
        CallError, calls,
        grant::{AccessError, DataAccess, grant},
        settings,
    },
    storage::Place,
    wake::{cluster::api_failed, finding::Target},
};

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
    /// Errors: `busy`.
    async fn drain(&self, pod: &PodView) -> Result<(), Problem>;
}

/// Calls pods over TLS.
pub struct RealRuntimes(pub Arc<Context>);

fn refused(problem: Problem) -> CallError {
    CallError::Problem(Box::new(problem))
}

fn internal(error: &dyn std::fmt::Display) -> CallError {
    refused(Problem::new(ErrorCode::Internal, error.to_string()))
}

fn refusal(error: &AccessError) -> Problem {
    match error {
        AccessError::Storage(error) => problem_of_open(error),
        AccessError::DataKey(error) => problem_of_step(error),
    }
}

#[async_trait]
impl Runtimes for RealRuntimes {
    async fn grant(
        &self,
        target: &Target,
        pod: &PodView,
        at_most: Duration,
    ) -> Result<RuntimeStatus, CallError> {
        let context = &self.0;
        let state = target.state.as_ref().ok_or_else(|| internal(&"the target was not resolved"))?;
        let spec = &state.class.spec;
        let (place, identity) = (Place::from(&spec.storage), state.identity.clone());
        let access = DataAccess::of(context, spec, &place, identity, state.encryption_key.as_deref()).await;
        let access = access.map_err(|error| refused(refusal(&error)))?;
        if let Some(script) = &state.init_script {
            init_script::note(context, &access, script).await.map_err(refused)?;
        }
        let task = Task::Serve(Serve {
            // The API server let this pod be created, so the previous one of its name is gone.
            takeover: Takeover::PreviousGone,
            idle_timeout: state.idle_timeout,
            drain_timeout: settings::drain_timeout(spec),
            init_script: state.init_script.clone(),
            durability: state.durability,
            put_budget: settings::put_budget(spec),
        });
        let grant = grant(context, pod, spec, access, &target.key.branch, task);
        let grant = grant.map_err(|error| internal(&error))?;
        calls::hand_over(context, pod, &grant, at_most).await
    }

    async fn report(&self, pod: &PodView) -> Result<RuntimeStatus, CallError> {
        calls::order(&self.0, pod, Order::Report).await
    }

    async fn drain(&self, pod: &PodView) -> Result<(), Problem> {
        calls::drain(&self.0, pod).await.map_err(api_failed)
    }
}
