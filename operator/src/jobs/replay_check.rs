//! The check of how far a branch's WAL can be replayed: a worker pod of its own tries. It touches no HEAD, so it may run
//! beside everything.

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use kube::Api;
use roost_crds::{StorageLocation, Tenant, TenantClass};
use roost_protocol::{
    grant::{CheckReplay, Grant, Task},
    problem::ErrorCode,
    report::{ReplayReport, Report},
};
use roost_store::{BranchName, PinKind, Pinned, TenantStore};

use crate::{
    context::Context,
    pods::{Exit, PodOf, PodTask, PodView, Stage, TenantBranch},
    runtime::{
        CallError, calls,
        grant::{DataAccess, grant},
    },
    storage::{Place, location::identity},
};

/// Name of the pins of checks; their uid is the pod's name.
const PIN: &str = "fsck-replay";
/// Longest time that a pod may take to answer its grant.
const GRANT_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks at a pod when nothing tells of a change.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait until the pod is gone.
const LEAVE_PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for the result. The pod is removed here, or some time later by the operator.
const PATIENCE: Duration = Duration::from_hours(1);

/// Lets go of what a check that was left behind keeps. A failure is only logged: the next check of the branch repeats it.
pub async fn release(context: &Context, pod: &PodView) {
    let released = async {
        let key = &pod.purpose.branch().key;
        let tenants: Api<Tenant> = Api::namespaced(context.client.clone(), &key.namespace);
        let status = tenants.get_opt(&key.tenant).await?.and_then(|tenant| tenant.status);
        let Some(location) = status.and_then(|status| status.location) else { return Ok(()) };
        let store = context.buckets.tenant(&location).await?;
        anyhow::Ok(store.unpin_all(PinKind::Reader, PIN, &pod.name).await?)
    };
    if let Err(error) = released.await {
        tracing::warn!(pod = %pod.name, %error, "the pin of a check was left behind");
    }
}

/// One check, of a branch of a tenant.
pub struct Check<'a> {
    /// Operator whose pods and keys it uses.
    pub context: Arc<Context>,
    /// Class of the tenant.
    pub class: &'a TenantClass,
    /// Location of the tenant's data.
    pub location: StorageLocation,
    /// The tenant's data.
    pub store: TenantStore,
    /// The branch.
    pub branch: BranchName,
    /// Name of the key that wraps the tenant's data key, by its status.
    pub encryption_key: Option<String>,
}

impl Check<'_> {
    /// Starts the pod, and waits for its report.
    ///
    /// # Errors
    /// When the branch cannot be pinned, or the pod gives no report.
    pub async fn run(&self) -> anyhow::Result<ReplayReport> {
        let branch = TenantBranch::at(&self.location, self.branch.as_str());
        let of = PodOf { branch, task: PodTask::CheckReplay };
        let (context, name) = (&self.context, of.name());
        let created = context.pods.create(self.class, &of, &*context.trusted()?, context.now()).await?;
        let Some(pod) = created else {
            let namespace = &context.config.runtime_namespace;
            bail!(
                "another check of this branch runs, or was left behind: wait for it, or end it with `kubectl -n \
                 {namespace} delete pod {name}`"
            );
        };
        eprintln!("pod {name} tries how far it opens");
        let asked = tokio::time::timeout(PATIENCE, self.pin_and_ask(&name)).await;
        let result = asked.unwrap_or_else(|_| bail!("pod {name} did not end within {PATIENCE:?}"));
        self.store.unpin_all(PinKind::Reader, PIN, &name).await?;
        context.pods.delete(&pod).await?;
        // The next check of this branch wants its name.
        let _still_leaving = tokio::time::timeout(LEAVE_PATIENCE, self.gone(&name)).await;
        result
    }

    async fn gone(&self, name: &str) -> anyhow::Result<()> {
        while let Some(pod) = self.context.pods.get(name).await? {
            self.changed(&pod).await;
        }
        Ok(())
    }

    /// Waits for a change of a pod, for a while.
    async fn changed(&self, pod: &PodView) {
        if !self.context.pods.changed(pod, LOOK).await {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn pin_and_ask(&self, name: &str) -> anyhow::Result<ReplayReport> {
        // What a check kept that ended before it could let go.
        self.store.unpin_all(PinKind::Reader, PIN, name).await?;
        let pinned = self.store.pin(PinKind::Reader, PIN, name, &self.branch, None).await?;
        self.ask(name, &pinned).await
    }

    /// Hands the task over, and waits for the result.
    async fn ask(&self, name: &str, pinned: &Pinned) -> anyhow::Result<ReplayReport> {
        let context = &self.context;
        let mut granted = false;
        loop {
            let Some(pod) = context.pods.get(name).await? else { bail!("pod {name} was deleted") };
            if let Stage::Finished { exit, .. } = &pod.stage {
                return result(&pod, exit);
            }
            if !granted && pod.address().is_some() {
                match calls::hand_over(context, &pod, &self.grant(&pod, pinned).await?, GRANT_TIMEOUT).await {
                    Ok(_) => granted = true,
                    Err(CallError::Problem(problem)) if problem.code == ErrorCode::AlreadyGranted => {
                        granted = true;
                    }
                    Err(CallError::Problem(problem)) => bail!("pod {name} refuses: {problem}"),
                    // It does not listen yet, or ends just now: the next look tells.
                    Err(_) => {}
                }
            }
            if let Some(obstacle) = &pod.obstacle {
                eprintln!("pod {name} does not start: {obstacle}");
            }
            self.changed(&pod).await;
        }
    }

    async fn grant(&self, pod: &PodView, pinned: &Pinned) -> anyhow::Result<Grant> {
        let (context, spec) = (&self.context, &self.class.spec);
        let (place, identity) = (Place::from(&self.location), identity(&self.location));
        let access = DataAccess::of(context, spec, &place, identity, self.encryption_key.as_deref()).await?;
        let (position, pin) = (pinned.position.clone(), pinned.pin.clone());
        let task = Task::CheckReplay(CheckReplay { position, pin });
        Ok(grant(context, pod, spec, access, self.branch.as_str(), task)?)
    }
}

/// The result that a pod left in its last words.
fn result(pod: &PodView, exit: &Exit) -> anyhow::Result<ReplayReport> {
    let Some(ending) = pod.ending() else { bail!("pod {} ended without last words: {exit}", pod.name) };
    match (&ending.report, &ending.problem) {
        (Some(Report::Replay(report)), None) => Ok((**report).clone()),
        (_, Some(problem)) => bail!("{problem}"),
        (_, None) => bail!("pod {} ended without a result: {exit}", pod.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{jobs::samples::replay_report, pods::samples};
    use roost_protocol::{
        problem::Problem,
        status::{Ending, RuntimeState},
    };

    #[test]
    fn only_a_report_is_a_result() {
        let ended = |report, problem| {
            let state = RuntimeState::Sealed;
            let (position, database_size, last_active) = (None, None, None);
            let ending = Ending { state, position, database_size, last_active, problem, report };
            let exit = samples::exit("Completed", 0);
            let finished = Stage::Finished { ending: Some(Box::new(ending)), exit: exit.clone() };
            result(&PodView { stage: finished, ..samples::pod() }, &exit)
        };
        let report = replay_report(true);
        assert_eq!(ended(Some(Report::Replay(Box::new(report.clone()))), None).unwrap(), report);
        let away = Problem::new(ErrorCode::StorageUnreachable, "away");
        assert!(ended(None, Some(away)).unwrap_err().to_string().contains("away"));
        assert!(ended(None, None).is_err());
        let exit = samples::exit("OOMKilled", 137);
        let stage = Stage::Finished { ending: None, exit: exit.clone() };
        let died = result(&PodView { stage, ..samples::pod() }, &exit);
        assert!(died.unwrap_err().to_string().contains("OOMKilled"));
    }
}
