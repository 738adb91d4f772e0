//! Telling of wakes: in the status of the object that was to be woken, and, of failures, in an Event on it.

use async_trait::async_trait;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::events::EventType,
};
use roost_crds::{Branch, Tenant, WakeFailure, names::MANAGED_BY};
use roost_protocol::{BranchKey, problem::Problem};
use serde_json::json;

use super::{
    cluster::RealCluster,
    finding::{Target, branch, tenant},
};
use crate::reasons::wake_failure;

/// Tells of wakes where people look.
#[async_trait]
pub trait WakeStatus: Send + Sync + 'static {
    /// Says in status that a wake waits for a place.
    async fn waits(&self, target: &Target, problem: &Problem);
    /// Says that a wake failed.
    async fn failed(&self, target: &Target, problem: &Problem);
    /// Takes back what status says of failed wakes.
    async fn recovered(&self, target: &Target);
}

/// The object that a wake is told on.
enum Woken {
    /// For `main`.
    Tenant(Box<Tenant>),
    /// For every other branch.
    Branch(Box<Branch>),
}

impl RealCluster {
    /// Says on the object that a wake failed, in an Event and, if its reason is for status, there.
    async fn tell(&self, key: &BranchKey, problem: &Problem) {
        let note = format!("branch {} was not woken: {problem}", key.branch);
        let Some(woken) = self.woken(key).await else { return };
        self.record(key, &woken, Some(problem)).await;
        match woken {
            Woken::Branch(branch) => self.say(&*branch, &note).await,
            Woken::Tenant(tenant) => self.say(&*tenant, &note).await,
        }
    }

    /// The object that a wake is told on; none if it cannot be read.
    async fn woken(&self, key: &BranchKey) -> Option<Woken> {
        let tenant = tenant(&self.0, key).await.ok()?;
        let branch = branch(&self.0, key).await.ok()?;
        Some(branch.map_or_else(|| Woken::Tenant(Box::new(tenant)), |branch| Woken::Branch(Box::new(branch))))
    }

    async fn say<K: Resource<DynamicType = ()>>(&self, object: &K, note: &str) {
        self.0.event(object, EventType::Warning, "WakeFailed", "Wake", note).await;
    }

    /// Writes the failure of the last wake into status or, for no problem, removes it.
    async fn record(&self, key: &BranchKey, woken: &Woken, problem: Option<&Problem>) {
        let client = self.0.client.clone();
        let result = match woken {
            Woken::Branch(branch) => {
                let told = branch.status.as_ref().and_then(|status| status.wake_failure.as_ref());
                self.write(Api::<Branch>::namespaced(client, &key.namespace), &**branch, told, problem).await
            }
            Woken::Tenant(tenant) => {
                let told = tenant.status.as_ref().and_then(|status| status.wake_failure.as_ref());
                self.write(Api::<Tenant>::namespaced(client, &key.namespace), &**tenant, told, problem).await
            }
        };
        if let Err(error) = result {
            tracing::warn!(branch = %key, %error, "status could not be told of a wake");
        }
    }

    async fn write<K>(
        &self,
        api: Api<K>,
        object: &K,
        told: Option<&WakeFailure>,
        problem: Option<&Problem>,
    ) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let generation = object.meta().generation.unwrap_or_default();
        let failure = match problem {
            Some(problem) => match wake_failure::record(told, problem, generation, self.0.now()) {
                Some(failure) => json!(failure),
                None => return Ok(()),
            },
            None if told.is_none() => return Ok(()),
            None => serde_json::Value::Null,
        };
        // Of this object, not of one that has its name by now.
        let patch = json!({"metadata": {"uid": object.uid()}, "status": {"wakeFailure": failure}});
        let params =
            PatchParams { field_manager: Some(format!("{MANAGED_BY}/wake")), ..PatchParams::default() };
        api.patch_status(&object.name_any(), &params, &Patch::Merge(&patch)).await.map(drop)
    }
}

#[async_trait]
impl WakeStatus for RealCluster {
    async fn waits(&self, target: &Target, problem: &Problem) {
        if let Some(woken) = self.woken(&target.key).await {
            self.record(&target.key, &woken, Some(problem)).await;
        }
    }

    async fn failed(&self, target: &Target, problem: &Problem) {
        self.tell(&target.key, problem).await;
    }

    async fn recovered(&self, target: &Target) {
        if let Some(woken) = self.woken(&target.key).await {
            self.record(&target.key, &woken, None).await;
        }
    }
}
