//! The pod of a branch at the API server.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use kube::ResourceExt as _;
use roost_protocol::{
    command::Order,
    problem::{ErrorCode, Problem},
    time::UnixMillis,
};

use super::{
    branch_pods::{BranchPods, Created},
    eviction::Occupant,
};
use crate::{
    context::Context,
    kubernetes::is_refused,
    pod_lifecycle::retire,
    pods::{PodOf, PodTask, PodView, TenantBranch, api::CreateError, names},
    reconcile::ReconcileError,
    runtime::calls,
    slots::Taken,
    wake::{
        cluster::{RealCluster, api_failed},
        finding::Target,
    },
};

/// Pods of a class that are asked at a time who of them is idle.
const ASKED_AT_A_TIME: usize = 32;

/// Asks a pod what it does.
async fn ask(context: &Context, pod: PodView) -> Occupant {
    let running = pod.address().is_some() && !pod.leaving;
    let status = if running { calls::order(context, &pod, Order::Report).await.ok() } else { None };
    let now = UnixMillis::clamped(context.now().as_millisecond());
    let quiet = status.as_ref().map(|status| now.0.saturating_sub(status.last_active.0)).unwrap_or_default();
    Occupant { pod, status, quiet: Duration::from_millis(quiet) }
}

#[async_trait]
impl BranchPods for RealCluster {
    async fn pod(&self, target: &Target) -> Result<Option<PodView>, Problem> {
        self.0.pods.get(&target.pod).await.map_err(api_failed)
    }

    async fn changed(&self, pod: &PodView, at_most: Duration) -> bool {
        self.0.pods.changed(pod, at_most).await
    }

    async fn take_slot(&self, target: &Target) -> Result<Option<Taken>, Problem> {
        let Some(state) = &target.state else { return Ok(None) };
        let hash = names::class_hash(&state.class.name_any());
        let taken = self.0.slots.take(&hash, state.class.spec.active(), &target.pod, self.0.now()).await;
        taken.map_err(|error| {
            tracing::warn!(%error, "slot not taken");
            Problem::new(ErrorCode::Busy, error.to_string()).retry_after(1)
        })
    }

    async fn free_slot(&self, target: &Target, slot: &Taken) {
        // The sweep frees it later if this fails.
        if let Err(error) = self.0.slots.free(slot, &target.pod).await {
            tracing::warn!(%error, slot = %slot, "slot not freed");
        }
    }

    async fn create(&self, target: &Target, slot: &Taken) -> Result<Created, Problem> {
        let internal = |error: &dyn std::fmt::Display| Problem::new(ErrorCode::Internal, error.to_string());
        let state = target.state.as_ref().ok_or_else(|| internal(&"the target was not resolved"))?;
        let trusted = self.0.trusted().map_err(|error| internal(&error))?;
        let branch = TenantBranch { key: target.key.clone(), tenant_uid: target.tenant_uid.clone() };
        let of = PodOf { branch, task: PodTask::Serve { slot: slot.clone() } };
        match self.0.pods.create(&state.class, &of, &trusted, self.0.now()).await {
            Ok(Some(pod)) => Ok(Created::Pod(Box::new(pod))),
            Ok(None) => Ok(Created::Exists),
            Err(CreateError::Api(error)) if !is_refused(&error) => Err(api_failed(error)),
            Err(error) => {
                tracing::warn!(%error, branch = %target.key, "pod not created");
                Err(Problem::new(ErrorCode::Internal, error.to_string()))
            }
        }
    }

    async fn retire(&self, _: &Target, pod: &PodView) -> Result<(), Problem> {
        retire(&self.0, pod).await.map_err(|error| match error {
            ReconcileError::Api(error) => api_failed(error),
            error => Problem::new(ErrorCode::Internal, error.to_string()),
        })
    }

    fn template(&self, target: &Target) -> Option<String> {
        target.state.as_ref().map(|state| self.0.pods.template(&state.class))
    }

    async fn remove(&self, pod: &PodView) -> Result<(), Problem> {
        self.0.pods.delete_unchanged(pod).await.map_err(api_failed)
    }

    async fn occupants(&self, target: &Target) -> Result<Vec<Occupant>, Problem> {
        let Some(state) = &target.state else { return Ok(Vec::new()) };
        let hash = names::class_hash(&state.class.name_any());
        let pods = self.0.pods.of_class(&hash).await.map_err(api_failed)?;
        let asked = futures::stream::iter(pods.into_iter().map(|pod| ask(&self.0, pod)));
        Ok(asked.buffer_unordered(ASKED_AT_A_TIME).collect().await)
    }
}
