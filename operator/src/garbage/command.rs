//! `roost-operator collect`: what a collection would delete now, and, if it is wished, the collection itself.

use std::num::NonZeroU32;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::HumanBytes;
use kube::{Api, Client, ResourceExt as _};
use roost_crds::{Tenant, TenantClass};
use roost_store::{
    Environment,
    garbage::{Collected, LISTED},
    reachability::KnownManifests,
};

use crate::{
    command_output::{Output, progress},
    storage::Buckets,
};

/// Shows what garbage collection would delete of a Tenant, or deletes it.
///
/// The operator collects by itself, within an hour of a change. This is for who wants to see it, or cannot wait. Without
/// --delete nothing is changed. Whatever the recoveryWindow of the Tenant's class keeps stays, as does all that
/// branches, snapshots and processes that may still run refer to.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kubectl -n roost-system exec deploy/roost-operator -- \
    roost-operator collect shop/acme --delete")]
pub struct Options {
    /// The Tenant, as NAMESPACE/NAME.
    #[arg(value_name = "NAMESPACE/NAME")]
    pub tenant: String,
    /// Delete, instead of saying what would be deleted.
    #[arg(long)]
    pub delete: bool,
    /// Most deletions a second.
    #[arg(long, env = "ROOST_GARBAGE_DELETES_PER_SECOND", default_value = "100")]
    pub deletes_per_second: NonZeroU32,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Namespace of the operator, where the class's Secrets are.
    #[arg(long, env = "ROOST_NAMESPACE", default_value = "roost-system")]
    pub namespace: String,
}

/// Collects, or looks, and prints what it found.
///
/// # Errors
/// When the Tenant or its bucket cannot be read, is not this cluster's, or is damaged.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("no way to the Kubernetes API server was found")?;
    let Some((namespace, name)) = options.tenant.split_once('/') else {
        bail!("{:?} is no tenant's name; write NAMESPACE/NAME, such as shop/acme", options.tenant);
    };
    let tenants: Api<Tenant> = Api::namespaced(client.clone(), namespace);
    let Some(tenant) = tenants.get_opt(name).await? else {
        bail!("Tenant {} does not exist; `kubectl get tenants.roostdb.dev -A` lists them", options.tenant);
    };
    let Some(location) = tenant.status.as_ref().and_then(|status| status.location.as_ref()) else {
        bail!("Tenant {} has no data yet", options.tenant);
    };
    let classes: Api<TenantClass> = Api::all(client.clone());
    let class = classes.get(&location.class_name).await?;
    let store = Buckets::new(client, &options.namespace, Environment::system()).tenant(location).await?;
    let policy = super::policy(&class, options.deletes_per_second, !options.delete);
    let bar = progress("objects");
    let collected = store
        .collect(&policy, &KnownManifests::default(), &|progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        })
        .await;
    bar.finish_and_clear();
    let collected = collected?;
    match options.output {
        Output::Text => print!("{}", text(&tenant.name_any(), &class.name_any(), &collected)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&collected)?),
    }
    Ok(())
}

fn text(tenant: &str, class: &str, collected: &Collected) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for key in &collected.keys {
        let _infallible = writeln!(text, "{key}");
    }
    let Collected { deleted, kept, .. } = collected;
    let hidden = deleted.count.saturating_sub(LISTED as u64);
    if hidden > 0 {
        let _infallible = writeln!(text, "and {hidden} more");
    }
    let done = if collected.dry_run { "would be deleted (--delete does it)" } else { "deleted" };
    let _infallible = writeln!(
        text,
        "{tenant}: {} objects ({}) {done}, {} ({}) stay",
        deleted.count,
        HumanBytes(deleted.bytes),
        kept.count,
        HumanBytes(kept.bytes)
    );
    if collected.merged > 0 {
        let merged = collected.merged;
        let _infallible = writeln!(text, "{tenant}: {merged} streams of WAL were put into one object each");
    }
    for (branch, since) in &collected.recoverable_from {
        let _infallible = writeln!(
            text,
            "{tenant} branch {branch}: recoverable since {since}, by recoveryWindow of class {class}"
        );
    }
    if collected.more {
        let _infallible = writeln!(text, "more is left: run it again");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_store::reachability::Tally;

    #[test]
    fn a_person_reads_what_goes_and_what_stays() {
        let collected = Collected {
            location: "prod/tenants/shop/acme/".into(),
            kept: Tally { count: 12, bytes: 3 << 20 },
            deleted: Tally { count: 1, bytes: 2048 },
            keys: vec!["packs/a".into()],
            recoverable_from: [("main".to_owned(), "2026-11-20T10:00:00Z".parse().unwrap())].into(),
            merged: 0,
            next_expiry: None,
            dry_run: true,
            more: false,
        };
        insta::assert_snapshot!(text("acme", "standard", &collected), @r"
        packs/a
        acme: 1 objects (2.00 KiB) would be deleted (--delete does it), 12 (3.00 MiB) stay
        acme branch main: recoverable since 2026-11-20T10:00:00Z, by recoveryWindow of class standard
        ");
    }
}
