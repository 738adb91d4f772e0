//! The API server, for real. A wake reads objects itself: no cache decides anything here.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::events::EventType,
};
use roost_crds::{
    Branch, ConditionType, OperatingMode, Reason, StorageLocation, Tenant, TenantClass, WakeFailure,
    names::{MAIN_BRANCH, MANAGED_BY},
    reasons::Truth,
};
use roost_protocol::{
    BranchKey,
    command::Order,
    problem::{ErrorCode, Problem},
};
use serde_json::json;

use super::{
    room::Occupant,
    target::{Target, TargetState},
    world::{Cluster, Created},
};
use crate::{
    class::settings,
    context::Context,
    fault, inputs,
    pods::{
        PodView,
        build::{PodOf, Role},
        calls, lifecycle, names,
    },
    slots::Taken,
    wake_failure,
    whereabouts::{find_branch, identity},
};

/// How long a wake waits for the first reconcile of an object that was made a moment ago.
const FIRST_RECONCILE: Duration = Duration::from_secs(10);
/// Pods of a class that are asked at a time who of them is idle.
const ASKED_AT_A_TIME: usize = 32;
/// Pause between two looks at such an object.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Asks the API server.
pub struct RealCluster(pub Arc<Context>);

#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn api_failed(error: kube::Error) -> Problem {
    tracing::warn!(%error, "the API server failed on a wake");
    Problem::new(ErrorCode::Busy, "the Kubernetes API server does not answer as it should; try again")
        .retry_after(1)
}

/// What a wake takes from a Tenant or Branch.
struct Facts {
    conditions: Vec<Condition>,
    location: Option<StorageLocation>,
    class: Option<String>,
    /// Number of the last manifest; none before the data was made.
    manifest: Option<u64>,
    /// What status says of the last wake.
    wake_failure: Option<WakeFailure>,
}

fn of_tenant(tenant: &Tenant) -> Facts {
    let status = tenant.status.clone().unwrap_or_default();
    Facts {
        conditions: status.conditions,
        location: status.location,
        class: status.class_name,
        manifest: status.position.map(|position| position.manifest),
        wake_failure: status.wake_failure,
    }
}

fn of_branch(branch: &Branch) -> Facts {
    let status = branch.status.clone().unwrap_or_default();
    Facts {
        conditions: status.conditions,
        location: status.location,
        class: status.class_name,
        manifest: status.position.map(|position| position.manifest),
        wake_failure: status.wake_failure,
    }
}

/// Whether a wake may be tried, by what was said last: trouble with pods or the bucket may be over.
fn may_try(key: &BranchKey, facts: &Facts) -> Result<(), Problem> {
    let ready = facts.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str());
    let message = ready.map_or("it was not looked at yet", |ready| ready.message.as_str());
    let reason = ready.and_then(|ready| Reason::named(&ready.reason));
    if facts.manifest.is_some() && facts.location.is_some() {
        let blocks = match reason {
            None
            | Some(
                Reason::RestoreFailed
                | Reason::CrashLooping
                | Reason::WakeFailed
                | Reason::StorageUnreachable
                | Reason::StorageDenied
                // What is not damaged can be asked for, and what is may have been brought back.
                | Reason::DataCorrupt
                // A newer engine may replay what this one cannot.
                | Reason::ReplayFailed
                | Reason::CeilingReached
                | Reason::CredentialsNotFound
                | Reason::CredentialsInvalid
                | Reason::EncryptionKeyInvalid
                | Reason::InputsNotFound
                | Reason::InputsNotPermitted
                // The spec itself says whether it is suspended; the condition may lag behind.
                | Reason::Suspended,
            ) => false,
            Some(reason) => reason.row().available == Truth::False,
        };
        if !blocks {
            return Ok(());
        }
    }
    let code = reason.map_or(ErrorCode::TenantNotReady, fault::code);
    let reason = reason.map_or("Unknown", |reason| reason.as_str());
    Err(Problem::new(code, format!("{key} cannot be woken: {reason}: {message}")))
}

/// The object that a wake is told on.
enum Woken {
    /// For `main`.
    Tenant(Box<Tenant>),
    /// For every other branch.
    Branch(Box<Branch>),
}

impl RealCluster {
    async fn tenant(&self, key: &BranchKey) -> Result<Tenant, Problem> {
        let api: Api<Tenant> = Api::namespaced(self.0.client.clone(), &key.namespace);
        let found = api.get_opt(&key.tenant).await.map_err(api_failed)?;
        let found = found.filter(|tenant| tenant.metadata.deletion_timestamp.is_none());
        found.ok_or_else(|| {
            Problem::new(
                ErrorCode::NotFound,
                format!("there is no Tenant {} in {}", key.tenant, key.namespace),
            )
        })
    }

    async fn branch(&self, key: &BranchKey) -> Result<Option<Branch>, Problem> {
        if key.branch == MAIN_BRANCH {
            return Ok(None);
        }
        let found =
            find_branch(&self.0, &key.namespace, &key.tenant, &key.branch).await.map_err(api_failed)?;
        let found = found.filter(|branch| branch.metadata.deletion_timestamp.is_none());
        found.map(Some).ok_or_else(|| {
            Problem::new(ErrorCode::NotFound, format!("Tenant {} has no Branch {}", key.tenant, key.branch))
        })
    }

    async fn look(&self, key: &BranchKey) -> Result<Target, Problem> {
        let tenant = self.tenant(key).await?;
        let branch = self.branch(key).await?;
        let suspended = OperatingMode::Suspended;
        if tenant.spec.operating_mode() == suspended
            || branch.as_ref().is_some_and(|branch| branch.spec.operating_mode() == suspended)
        {
            return Err(Problem::new(
                ErrorCode::Suspended,
                format!("{key} is suspended by its operatingMode"),
            ));
        }
        let facts = branch.as_ref().map_or_else(|| of_tenant(&tenant), of_branch);
        may_try(key, &facts)?;
        let (Some(location), Some(class)) = (&facts.location, &facts.class) else {
            return Err(Problem::new(ErrorCode::TenantNotReady, format!("{key} has no class yet")));
        };
        let classes: Api<TenantClass> = Api::all(self.0.client.clone());
        let class = classes.get_opt(class).await.map_err(api_failed)?.ok_or_else(|| {
            Problem::new(
                ErrorCode::TenantNotReady,
                format!("the TenantClass {class} of {key} does not exist"),
            )
        })?;
        let uid = tenant.uid().unwrap_or_default();
        let branch_generation =
            branch.as_ref().and_then(|branch| branch.metadata.generation).unwrap_or_default();
        let state = TargetState {
            identity: identity(location),
            idle_timeout: class.spec.idle_timeout(tenant.spec.idle_timeout.as_ref()),
            durability: settings::terms(&class.spec, &tenant.spec),
            init_script: self.init_script(key, &tenant, &facts).await?,
            encryption_key: tenant.status.as_ref().and_then(|status| status.encryption_key.clone()),
            class: Arc::new(class),
        };
        Ok(Target {
            key: key.clone(),
            pod: names::serving_pod(&uid, &key.branch),
            tenant_uid: uid,
            generation: tenant.metadata.generation.unwrap_or_default()
                + branch_generation
                + state.class.metadata.generation.unwrap_or_default(),
            statement_timeout: state.class.spec.statement_timeout(),
            termination_grace: state.class.spec.termination_grace(),
            idle_least: state.class.spec.idle_least(),
            failure_told: facts.wake_failure.is_some(),
            state: Some(state),
        })
    }

    /// The script, as long as nothing was published; the runtime decides by HEAD whether it runs.
    async fn init_script(
        &self,
        key: &BranchKey,
        tenant: &Tenant,
        facts: &Facts,
    ) -> Result<Option<String>, Problem> {
        let script = tenant.spec.source.as_ref().and_then(|source| source.init_script.as_ref());
        let (Some(script), MAIN_BRANCH, Some(0)) = (script, key.branch.as_str(), facts.manifest) else {
            return Ok(None);
        };
        match inputs::init_script(&self.0, &key.namespace, script).await.map_err(api_failed)? {
            Ok(script) => Ok(Some(script)),
            Err(fault) => Err(Problem::new(ErrorCode::TenantNotReady, fault.message)),
        }
    }

    /// Says on the object that a wake failed, in an Event and, if its reason is for status, there.
    pub async fn tell(&self, key: &BranchKey, problem: &Problem) {
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
        let tenant = self.tenant(key).await.ok()?;
        let branch = self.branch(key).await.ok()?;
        Some(branch.map_or_else(|| Woken::Tenant(Box::new(tenant)), |branch| Woken::Branch(Box::new(branch))))
    }

    async fn say<K: Resource<DynamicType = ()>>(&self, object: &K, note: &str) {
        self.0.event(object, EventType::Warning, "WakeFailed", "Wake", note).await;
    }

    /// Writes or, for no problem, removes what status says of the last wake.
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

    /// Asks a pod what it does.
    async fn ask(&self, pod: PodView) -> Occupant {
        let running = pod.address().is_some() && !pod.leaving;
        let status = if running { calls::order(&self.0, &pod, Order::Report).await.ok() } else { None };
        let now = calls::unix_millis(self.0.now());
        let quiet =
            status.as_ref().map(|status| now.0.saturating_sub(status.last_active.0)).unwrap_or_default();
        Occupant { pod, status, quiet: Duration::from_millis(quiet) }
    }
}

#[async_trait]
impl Cluster for RealCluster {
    async fn target(&self, key: &BranchKey) -> Result<Target, Problem> {
        let start = tokio::time::Instant::now();
        loop {
            match self.look(key).await {
                Err(problem)
                    if problem.code == ErrorCode::TenantNotReady && start.elapsed() < FIRST_RECONCILE =>
                {
                    let fresh = self.tenant(key).await?;
                    let looked_at = fresh.status.as_ref().is_some_and(|status| status.position.is_some());
                    // Only what is new may become ready by itself in a moment.
                    if looked_at && key.branch == MAIN_BRANCH {
                        return Err(problem);
                    }
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

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
        let of = PodOf {
            namespace: &target.key.namespace,
            tenant: &target.key.tenant,
            tenant_uid: &target.tenant_uid,
            role: Role::Serve { branch: target.key.branch.clone(), slot: slot.clone() },
        };
        match self.0.pods.create(&state.class, &of, &trusted, self.0.now()).await {
            Ok(Some(pod)) => Ok(Created::Pod(Box::new(pod))),
            Ok(None) => Ok(Created::Exists),
            Err(error) => {
                tracing::warn!(%error, branch = %target.key, "pod not created");
                Err(Problem::new(ErrorCode::Internal, error.to_string()))
            }
        }
    }

    async fn retire(&self, _: &Target, pod: &PodView) -> Result<(), Problem> {
        lifecycle::retire(&self.0, pod)
            .await
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))
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
        let asked = futures::stream::iter(pods.into_iter().map(|pod| self.ask(pod)));
        Ok(asked.buffer_unordered(ASKED_AT_A_TIME).collect().await)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
    use roost_crds::conditions::{Serves, report};

    #[test]
    fn what_was_said_last_decides_whether_a_wake_is_tried() {
        let key = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: "main".into() };
        let facts = |reason, made: bool| Facts {
            conditions: report(&[], Serves::Connections, reason, "why", 1, &Time(Timestamp::UNIX_EPOCH)),
            location: made.then(StorageLocation::default),
            class: None,
            manifest: made.then_some(0),
            wake_failure: None,
        };
        for reason in [
            Reason::Idle,
            Reason::Serving,
            Reason::Draining,
            Reason::CrashLooping,
            Reason::ReplayFailed,
            Reason::WakeFailed,
            Reason::CeilingReached,
            Reason::PublishFailing,
            Reason::StorageUnreachable,
        ] {
            assert!(may_try(&key, &facts(reason, true)).is_ok(), "{reason}");
        }
        assert!(may_try(&key, &facts(Reason::StorageChangeRefused, true)).is_ok());
        let table = [
            (facts(Reason::DataMissing, true), ErrorCode::DataMissing),
            (facts(Reason::DataOwnedElsewhere, false), ErrorCode::DataOwnedElsewhere),
            (facts(Reason::Initializing, false), ErrorCode::TenantNotReady),
            (facts(Reason::Deleting, true), ErrorCode::TenantNotReady),
            (facts(Reason::StorageDenied, false), ErrorCode::StorageDenied),
        ];
        for (facts, code) in table {
            let problem = may_try(&key, &facts).unwrap_err();
            assert_eq!(problem.code, code);
            assert!(problem.detail.contains("why"), "{problem}");
        }
    }
}
