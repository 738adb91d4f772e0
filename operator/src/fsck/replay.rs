//! `roost-operator fsck --replay`: how far a branch's WAL can be replayed.

use anyhow::{Context as _, bail};
use clap::Parser as _;
use kube::{Api, Client, ResourceExt as _};
use roost_crds::{Tenant, TenantClass, names::MAIN_BRANCH};
use roost_protocol::report::ReplayReport;
use roost_store::{BranchName, Environment};
use serde::Serialize;

use super::options::{self, Options};
use crate::{command_output::Output, config::Config, context::Context, jobs::replay_check::Check, trust};

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
    use crate::jobs::samples::replay_report;

    fn checked(branch: &str, fails: bool) -> Checked {
        let report = replay_report(fails);
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
}
