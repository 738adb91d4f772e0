//! Runtime pods' ends: finished ones are removed once their last words are kept, those without an owner drained,
//! those that never start removed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::events::EventType,
};
use roost_crds::{
    Branch, Snapshot, Tenant,
    names::{MAIN_BRANCH, MANAGED_BY},
};
use roost_protocol::{command::Order, status::RuntimeState};
use serde_json::json;

use super::{
    PodView, Stage, calls,
    ending::{bad_end, farewell},
};
use crate::{
    context::Context,
    elected::Elected,
    fsck::replay,
    serving::Serving,
    whereabouts::find_branch,
    work::{Key, Reconcile, ReconcileError, Requeue},
};

/// How long a pod may take to get an address.
const START_LIMIT: Duration = Duration::from_mins(10);
/// How long a pod may wait for its grant.
const GRANT_LIMIT: Duration = Duration::from_mins(3);
/// How long a check of a replay may take, with the time in which somebody reads its result.
pub const REPLAY_CHECK_LIMIT: Duration = Duration::from_hours(2);
/// How often a pod is looked at besides the watch.
const LOOK: Duration = Duration::from_mins(1);
/// How soon a pod that was asked to drain is looked at again.
const DRAIN_LOOK: Duration = Duration::from_secs(5);

/// Whom a pod works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It exists.
    Exists,
    /// It is gone, or another one has its name.
    Gone,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Wait,
    /// Keep the last words, then remove the pod.
    Retire,
    /// Remove the pod.
    Remove,
    /// Make it seal and leave.
    Drain,
    /// It does not start; say why and remove it.
    GiveUp,
    /// Ask whether it still waits for a grant; if so remove it.
    AskForGrant,
}

/// Plans.
pub fn plan(pod: &PodView, owner: Owner, now: Timestamp) -> Next {
    let age = pod.created.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
    let older = |limit| age.is_some_and(|age| age > limit);
    match (&pod.stage, owner) {
        _ if pod.leaving => Next::Wait,
        // Who started it removes it, unless it was left behind.
        (_, owner) if pod.replay_check => {
            let left_behind = owner == Owner::Gone || older(REPLAY_CHECK_LIMIT);
            if left_behind { Next::Remove } else { Next::Wait }
        }
        // A worker's end is its Snapshot's to conclude.
        (Stage::Finished { .. }, Owner::Exists) if pod.snapshot.is_some() => Next::Wait,
        (Stage::Finished { .. }, Owner::Exists) => Next::Retire,
        (Stage::Finished { .. }, Owner::Gone) => Next::Remove,
        (_, Owner::Gone) if pod.snapshot.is_some() => Next::Remove,
        (_, Owner::Gone) => Next::Drain,
        (Stage::Starting, Owner::Exists) if older(START_LIMIT) => Next::GiveUp,
        (Stage::Running { ready: false, .. }, Owner::Exists) if older(GRANT_LIMIT) => Next::AskForGrant,
        _ => Next::Wait,
    }
}

/// Reconciles runtime pods.
pub struct PodReconciler(pub Arc<Elected>);

#[async_trait]
impl Reconcile for PodReconciler {
    const KIND: &'static str = "Pod";

    async fn reconcile(&self, key: &Key) -> Result<Requeue, ReconcileError> {
        let context = &self.0.context;
        let Some(pod) = context.pods.get(&key.name).await? else { return Ok(Requeue::OnChange) };
        let owner = owner(context, &pod).await?;
        let next = plan(&pod, owner, context.now());
        tracing::debug!(?next, ?owner, "pod");
        match next {
            Next::Wait => {}
            Next::Retire => {
                self.remember(&pod);
                retire(context, &pod).await?;
            }
            Next::Remove => {
                if pod.replay_check {
                    replay::release(context, &pod).await;
                }
                context.pods.delete(&pod).await?;
            }
            Next::Drain => {
                calls::drain(context, &pod).await?;
                return Ok(Requeue::After(DRAIN_LOOK));
            }
            Next::GiveUp => {
                let why = pod.obstacle.clone().unwrap_or_else(|| "it got no address".to_owned());
                let note =
                    format!("pod {} did not start within {START_LIMIT:?} and was removed: {why}", pod.name);
                tell(context, &pod, "PodStuck", &note).await?;
                context.pods.delete(&pod).await?;
            }
            Next::AskForGrant => {
                let state = calls::order(context, &pod, Order::Report).await.map(|status| status.state);
                if matches!(state, Ok(RuntimeState::Pooled)) {
                    tracing::warn!(pod = %pod.name, "never got a grant; removed");
                    context.pods.delete(&pod).await?;
                }
            }
        }
        Ok(Requeue::After(LOOK))
    }
}

impl PodReconciler {
    /// What its end says about the branch.
    fn remember(&self, pod: &PodView) {
        let troubles = &self.0.troubles;
        match bad_end(pod) {
            None => troubles.clear(&pod.tenant_uid, &pod.branch),
            Some(problem) => troubles.add(&pod.tenant_uid, &pod.branch, &pod.uid, problem),
        }
    }
}

/// Whether the object that a pod works for exists: by UID, so that a recreated one does not count.
async fn owner(context: &Context, pod: &PodView) -> Result<Owner, ReconcileError> {
    let tenants: Api<Tenant> = Api::namespaced(context.client.clone(), &pod.namespace);
    let tenant = tenants.get_metadata_opt(&pod.tenant).await?;
    if tenant.and_then(|tenant| tenant.uid()).as_ref() != Some(&pod.tenant_uid) {
        return Ok(Owner::Gone);
    }
    if let Some(name) = &pod.snapshot {
        let snapshots: Api<Snapshot> = Api::namespaced(context.client.clone(), &pod.namespace);
        let uid = snapshots.get_metadata_opt(name).await?.and_then(|snapshot| snapshot.uid());
        let ours = uid.is_some_and(|uid| super::names::worker_pod(&uid) == pod.name);
        return Ok(if ours { Owner::Exists } else { Owner::Gone });
    }
    if pod.branch != MAIN_BRANCH && branch_of(context, pod).await?.is_none() {
        return Ok(Owner::Gone);
    }
    Ok(Owner::Exists)
}

/// The Branch object whose data a pod serves. Another one that only wants its branchName has no part in it.
async fn branch_of(context: &Context, pod: &PodView) -> Result<Option<Branch>, kube::Error> {
    let found = find_branch(context, &pod.namespace, &pod.tenant, &pod.branch).await?;
    Ok(found.filter(|branch| branch.status.as_ref().is_some_and(|status| status.position.is_some())))
}

/// Keeps a finished pod's last words, says what is not routine, and asks for its removal. Any replica may do this.
pub async fn retire(context: &Context, pod: &PodView) -> Result<(), ReconcileError> {
    if let Some((reason, note)) = farewell(pod) {
        tell(context, pod, reason, &note).await?;
    }
    let words = Serving { pod: Some(pod.clone()), runtime: None }.facts();
    let mut status = serde_json::Map::new();
    if let Some(position) = words.position {
        status.insert("position".into(), json!(position));
    }
    if let Some(size) = words.database_size {
        status.insert("databaseSize".into(), json!(size));
    }
    if let Some(at) = words.last_active {
        status.insert("lastActiveTime".into(), json!(at));
    }
    if !status.is_empty() {
        let patch = Patch::Merge(json!({"status": status}));
        let client = context.client.clone();
        if pod.branch == MAIN_BRANCH {
            keep(&Api::<Tenant>::namespaced(client, &pod.namespace), &pod.tenant, &patch).await?;
        } else if let Some(branch) = branch_of(context, pod).await? {
            keep(&Api::<Branch>::namespaced(client, &pod.namespace), &branch.name_any(), &patch).await?;
        }
    }
    context.pods.delete(pod).await?;
    Ok(())
}

async fn keep<K>(api: &Api<K>, name: &str, patch: &Patch<serde_json::Value>) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let params = PatchParams { field_manager: Some(format!("{MANAGED_BY}/pod")), ..PatchParams::default() };
    match api.patch_status(name, &params, patch).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

/// Says something about the Tenant or Branch that a pod serves.
async fn tell(context: &Context, pod: &PodView, reason: &str, note: &str) -> Result<(), ReconcileError> {
    if pod.branch == MAIN_BRANCH {
        let tenants: Api<Tenant> = Api::namespaced(context.client.clone(), &pod.namespace);
        if let Some(tenant) = tenants.get_opt(&pod.tenant).await? {
            context.event(&tenant, EventType::Warning, reason, "Serve", note).await;
        }
    } else if let Some(branch) = branch_of(context, pod).await? {
        context.event(&branch, EventType::Warning, reason, "Serve", note).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::samples;

    fn pod(stage: Stage, snapshot: Option<&str>) -> PodView {
        let created = Some("2026-11-20T10:00:00Z".parse().unwrap());
        PodView { snapshot: snapshot.map(str::to_owned), stage, created, ..samples::pod() }
    }

    #[test]
    fn every_end() {
        let finished = || Stage::Finished { ending: None, reason: "Error".into() };
        let running = |ready| Stage::Running { address: "10.0.0.1".into(), ready };
        let check = |stage| PodView { replay_check: true, ..pod(stage, None) };
        let tomorrow = "2026-11-21T10:00:00Z".parse().unwrap();
        let (soon, late) = ("2026-11-20T10:00:05Z".parse().unwrap(), "2026-11-20T10:20:00Z".parse().unwrap());
        let table = [
            (pod(finished(), None), Owner::Exists, soon, Next::Retire),
            (pod(finished(), None), Owner::Gone, soon, Next::Remove),
            (pod(finished(), Some("s")), Owner::Exists, soon, Next::Wait),
            (pod(finished(), Some("s")), Owner::Gone, soon, Next::Remove),
            (pod(running(true), None), Owner::Exists, late, Next::Wait),
            (pod(running(true), None), Owner::Gone, soon, Next::Drain),
            (pod(running(false), Some("s")), Owner::Gone, soon, Next::Remove),
            (pod(running(false), None), Owner::Exists, soon, Next::Wait),
            (pod(running(false), None), Owner::Exists, late, Next::AskForGrant),
            (pod(Stage::Starting, None), Owner::Exists, soon, Next::Wait),
            (pod(Stage::Starting, None), Owner::Exists, late, Next::GiveUp),
            (PodView { leaving: true, ..pod(finished(), None) }, Owner::Gone, late, Next::Wait),
            (check(finished()), Owner::Exists, late, Next::Wait),
            (check(running(false)), Owner::Exists, late, Next::Wait),
            (check(running(false)), Owner::Exists, tomorrow, Next::Remove),
            (check(running(false)), Owner::Gone, soon, Next::Remove),
        ];
        for (pod, owner, now, next) in table {
            assert_eq!(plan(&pod, owner, now), next, "{pod:?} {owner:?}");
        }
    }
}
