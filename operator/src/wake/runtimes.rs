//! Runtime pods, for real.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roost_protocol::{
    PROTOCOL_VERSION,
    command::Order,
    grant::{GRANT_VALIDITY, Grant, Serve, Takeover, Task},
    problem::{ErrorCode, Problem},
    status::RuntimeStatus,
};
use uuid::Uuid;

use super::{cluster::api_failed, script, target::Target, world::Runtimes};
use crate::{
    class::settings,
    context::Context,
    data_key,
    pods::{PodView, calls},
    runtime_client::CallError,
    storage::Place,
};

/// Calls pods over TLS.
pub struct RealRuntimes(pub Arc<Context>);

fn problem(problem: Problem) -> CallError {
    CallError::Problem(Box::new(problem))
}

fn internal(error: &dyn std::fmt::Display) -> CallError {
    problem(Problem::new(ErrorCode::Internal, error.to_string()))
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
        let resolved = context.buckets.resolve(&Place::from(&spec.storage)).await;
        let (storage, _version) = resolved.map_err(|error| problem(error.problem()))?;
        let data_key =
            data_key::unwrapped(context, spec, &storage, &state.identity, state.encryption_key.as_deref())
                .await;
        let data_key = data_key.map_err(|error| problem(error.problem()))?;
        if let Some(script) = &state.init_script {
            script::note(context, &storage, &state.identity, script).await.map_err(problem)?;
        }
        let trusted = context.trusted().map_err(|error| internal(&error))?;
        let grant = Grant {
            version: PROTOCOL_VERSION,
            pod: pod.name.clone(),
            pod_uid: pod.uid.clone(),
            not_after: calls::unix_millis(context.now()).plus(GRANT_VALIDITY),
            nonce: Uuid::new_v4(),
            tenant: state.identity.clone(),
            branch: target.key.branch.clone(),
            storage,
            data_key,
            task: Task::Serve(Serve {
                // The API server let this pod be created, so the previous one of its name is gone.
                takeover: Takeover::PreviousGone,
                idle_timeout: state.idle_timeout,
                drain_timeout: settings::drain_timeout(spec),
                init_script: state.init_script.clone(),
                durability: state.durability,
                put_budget: settings::put_budget(spec),
            }),
            engine: settings::engine_limits(spec),
            gateway_key: trusted.trust.session_key,
        };
        calls::hand_over(context, pod, &grant, at_most).await
    }

    async fn report(&self, pod: &PodView) -> Result<RuntimeStatus, CallError> {
        calls::order(&self.0, pod, Order::Report).await
    }

    async fn drain(&self, pod: &PodView) -> Result<(), Problem> {
        calls::drain(&self.0, pod).await.map_err(api_failed)
    }
}
