//! `roost-operator fsck --replay`: how far a branch's WAL can be replayed. A worker pod of its own tries; it touches no
//! HEAD, so it may run beside everything.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use kube::{Api, Client, ResourceExt as _};
use roost_crds::{StorageLocation, Tenant, TenantClass, names::MAIN_BRANCH};
use roost_protocol::{
    grant::{CheckReplay, Grant, Task},
    problem::ErrorCode,
    replay_report::ReplayReport,
};
use roost_store::{BranchName, Environment, PinKind, Pinned, TenantStore};
use serde::Serialize;

use super::options::{self, Options};
use crate::{
    command_output::Output,
    config::Config,
    context::Context,
    pods::{Exit, PodOf, PodTask, PodView, Stage, TenantBranch},
    runtime::{
        CallError, calls,
        grant::{DataAccess, grant},
    },
    storage::{Place, location::identity},
    trust,
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

/// The report of a check, with what was checked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    /// Namespace of the Tenant.
    namespace: String,
    /// The Tenant.
    tenant: String,
    /// Its branch.
    branch: String,
    /// All of it opens.
    clean: bool,
    #[serde(flatten)]
    report: ReplayReport,
}

/// Checks, prints, and says whether all of the branch opens.
pub async fn run(options: &Options, client: Client, class: &TenantClass) -> anyhow::Result<bool> {
    let config = Config::try_parse_from([env!("CARGO_PKG_NAME")]).context(
        "--replay starts a pod, with what the operator's own pod is told: run it there, as --help shows",
    )?;
    let context = Context::new(client, config, Environment::system());
    let keys = trust::load(&context.client, &context.config.namespace).await?;
    context.set_trust(keys.context("the operator has not made its keys yet; try again in a moment")?)?;
    let (namespace, name) = options::names(options.tenant.as_deref().unwrap_or_default())?;
    let tenants: Api<Tenant> = Api::namespaced(context.client.clone(), namespace);
    let Some(tenant) = tenants.get_opt(name).await? else {
        bail!("Tenant {namespace}/{name} does not exist; `kubectl get tenants.roostdb.dev -A` lists them");
    };
    let status = tenant.status.unwrap_or_default();
    let Some(location) = status.location else { bail!("Tenant {namespace}/{name} has no data yet") };
    if location.class_name != class.name_any() {
        bail!("Tenant {namespace}/{name} is of TenantClass {}; name that one", location.class_name);
    }
    let store = context.buckets.tenant(&location).await?;
    let branch = BranchName::new(&options.branch)?;
    let encryption_key = status.encryption_key;
    let check = Check { context, class, location, store, branch, encryption_key };
    let report = check.run().await?;
    let checked = Checked {
        namespace: namespace.to_owned(),
        tenant: name.to_owned(),
        branch: options.branch.clone(),
        clean: report.is_clean(),
        report,
    };
    match options.output {
        Output::Text => print!("{}", text(&checked)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&checked)?),
    }
    Ok(checked.clean)
}

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

/// One check.
struct Check<'a> {
    context: Arc<Context>,
    class: &'a TenantClass,
    location: StorageLocation,
    store: TenantStore,
    branch: BranchName,
    /// Name of the key that wraps the tenant's data key, by its status.
    encryption_key: Option<String>,
}

impl Check<'_> {
    async fn run(&self) -> anyhow::Result<ReplayReport> {
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
    match (&ending.snapshot, &ending.problem) {
        (Some(report), None) => Ok(serde_json::from_value(report.clone())?),
        (_, Some(problem)) => bail!("{problem}"),
        (None, None) => bail!("pod {} ended without a result: {exit}", pod.name),
    }
}

/// The report for people, with the object that they may write.
fn text(checked: &Checked) -> String {
    let Checked { namespace, tenant, branch, report, .. } = checked;
    let ReplayReport { commits, replayed, opens, engine_version, .. } = report;
    let Some(fails) = &report.fails else {
        let time = &report.end.time;
        return format!(
            "{namespace}/{tenant} {branch}: all of it opens, {commits} commits of WAL, the last of {time}\n"
        );
    };
    let (opens, fails) = (&opens.time, &fails.time);
    let why = report.error.as_deref().unwrap_or_default();
    let from = if branch == MAIN_BRANCH { String::new() } else { format!("branchName: {branch}, ") };
    format!(
        "{namespace}/{tenant} {branch}: {replayed} of {commits} commits of WAL open (DuckDB {engine_version})\n\
         opens: {opens}\n\
         fails: {fails}: {why}\n\
         Nothing was changed. This serves all until the last commit that opens:\n\n\
         apiVersion: roostdb.dev/v1alpha1\n\
         kind: Branch\n\
         metadata: {{name: {tenant}-replayed, namespace: {namespace}}}\n\
         spec: {{tenantName: {tenant}, branchName: replayed, from: {{{from}time: \"{opens}\"}}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::samples;
    use roost_protocol::{
        Position,
        identity::{BranchName, Lineage, ObjectId},
        problem::Problem,
        replay_report::CheckedCommit,
        status::{Ending, RuntimeState},
    };

    fn commit(second: u32) -> CheckedCommit {
        let position = Position {
            branch: BranchName::main(),
            lineage: Lineage::from_bytes([1; 16]),
            epoch: 1,
            manifest: 1,
            id: ObjectId::from_bytes([2; 16]),
            sequence: second.into(),
            offset: 0,
            stream_epoch: Some(1),
        };
        CheckedCommit { time: format!("2026-11-20T10:00:0{second}Z"), position }
    }

    fn checked(branch: &str, fails: bool) -> Checked {
        let report = ReplayReport {
            engine_version: "1.5.6".into(),
            commits: 5,
            replayed: if fails { 3 } else { 5 },
            opens: commit(if fails { 3 } else { 5 }),
            fails: fails.then(|| commit(4)),
            error: fails.then(|| "no such table".into()),
            end: commit(5),
        };
        let (namespace, tenant) = ("shop".into(), "acme".into());
        Checked { namespace, tenant, branch: branch.into(), clean: report.is_clean(), report }
    }

    #[test]
    fn a_person_reads_what_opens_and_what_to_write() {
        insta::assert_snapshot!(text(&checked("main", true)), @r#"
        shop/acme main: 3 of 5 commits of WAL open (DuckDB 1.5.6)
        opens: 2026-11-20T10:00:03Z
        fails: 2026-11-20T10:00:04Z: no such table
        Nothing was changed. This serves all until the last commit that opens:

        apiVersion: roostdb.dev/v1alpha1
        kind: Branch
        metadata: {name: acme-replayed, namespace: shop}
        spec: {tenantName: acme, branchName: replayed, from: {time: "2026-11-20T10:00:03Z"}}
        "#);
        assert!(text(&checked("dev", true)).contains("from: {branchName: dev, time: "));
        insta::assert_snapshot!(text(&checked("main", false)), @"shop/acme main: all of it opens, 5 commits of WAL, the last of 2026-11-20T10:00:05Z");
    }

    #[test]
    fn only_a_report_is_a_result() {
        let ended = |snapshot, problem| {
            let state = RuntimeState::Sealed;
            let (position, database_size, last_active) = (None, None, None);
            let ending = Ending { state, position, database_size, last_active, problem, snapshot };
            let exit = samples::exit("Completed", 0);
            let finished = Stage::Finished { ending: Some(Box::new(ending)), exit: exit.clone() };
            result(&PodView { stage: finished, ..samples::pod() }, &exit)
        };
        let report = checked("main", true).report;
        assert_eq!(ended(Some(serde_json::to_value(&report).unwrap()), None).unwrap(), report);
        let away = Problem::new(ErrorCode::StorageUnreachable, "away");
        assert!(ended(None, Some(away)).unwrap_err().to_string().contains("away"));
        assert!(ended(None, None).is_err());
        let exit = samples::exit("OOMKilled", 137);
        let stage = Stage::Finished { ending: None, exit: exit.clone() };
        let died = result(&PodView { stage, ..samples::pod() }, &exit);
        assert!(died.unwrap_err().to_string().contains("OOMKilled"));
    }
}
