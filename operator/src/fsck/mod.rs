//! `roost-operator fsck`: what a class's bucket holds, and whether anything is missing, damaged or left over. It reads and
//! never writes but for a pin, with `--replay`, so it may run at any time, beside everything.

pub(crate) mod replay;
mod show;

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use kube::{Api, Client};
use roost_crds::TenantClass;
use roost_store::{
    ClassKeys, Environment, ObjectStore, TenantPath,
    reachability::{Depth, History, Report, survey, walk},
};
use serde::Serialize;

use crate::{
    garbage::recovery_window,
    storage::{Buckets, Place},
};

/// Tenants that are walked at the same time.
const AT_ONCE: usize = 8;
/// How often the progress bar moves while nothing ends.
const TICK: Duration = Duration::from_millis(100);

/// Verifies what a class's bucket holds. Read-only.
///
/// Follows HEADs, the past within the class's recoveryWindow, pins and snapshots, reads every chunk and every piece of
/// WAL that they refer to, and checks it. Prints for each tenant how many objects are reachable, and lists the others:
/// what is to be collected, what a writer may still refer to, and what Roost does not know. Ends with status 0 if nothing
/// is missing, damaged or unknown, with 1 otherwise, and with 2 if the bucket could not be read.
///
/// With --replay it tries instead how far a branch of a tenant opens, in a pod that replays its WAL and keeps nothing: for
/// a Tenant or Branch with the reason ReplayFailed. Prints the last commit that opens and the first that does not, and ends
/// with status 0 if everything opens.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kubectl -n roost-system exec deploy/roost-operator -- \
    roost-operator fsck standard --tenant shop/acme")]
pub struct Options {
    /// The TenantClass whose bucket is read.
    pub class: String,
    /// Only this tenant, as NAMESPACE/NAME.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub tenant: Option<String>,
    /// Look only whether everything is there: read no data. For a first look at a large bucket.
    #[arg(long)]
    pub names_only: bool,
    /// Try how far a branch of this tenant can be replayed.
    #[arg(long, requires = "tenant", conflicts_with = "names_only")]
    pub replay: bool,
    /// With --replay: the branch.
    #[arg(long, requires = "replay", default_value = "main")]
    pub branch: String,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Namespace of the operator, where the class's Secrets are.
    #[arg(long, env = "ROOST_NAMESPACE", default_value = "roost-system")]
    pub namespace: String,
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table and what is behind it.
    Text,
    /// One JSON document.
    Json,
}

/// All that was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The class.
    pub class: String,
    /// Its bucket.
    pub bucket: String,
    /// Nothing is missing, damaged or unknown.
    pub clean: bool,
    /// Each tenant, in the order of their keys.
    pub tenants: Vec<Report>,
    /// What belongs to no tenant; left out when one tenant was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<Report>,
}

/// Walks, prints, and says whether all is well.
///
/// # Errors
/// When the class or its bucket cannot be read.
pub async fn run(options: &Options) -> anyhow::Result<bool> {
    let client = Client::try_default().await.context("no way to the Kubernetes API server was found")?;
    let classes: Api<TenantClass> = Api::all(client.clone());
    let Some(class) = classes.get_opt(&options.class).await? else {
        bail!("TenantClass {} does not exist; `kubectl get tenantclasses` lists them", options.class);
    };
    if options.replay {
        return replay::run(options, client, &class).await;
    }
    let place = Place::from(&class.spec.storage);
    let buckets = Buckets::new(client, &options.namespace);
    let bucket = buckets.open(&place).await?;
    let keys = match buckets.class_keys(class.spec.encryption.as_ref()).await {
        Ok(keys) => keys.map(|(keys, _)| keys),
        Err(error) => {
            eprintln!("what is encrypted is not read: {error}");
            None
        }
    };
    let found = look(options, &class, &place, bucket, keys.as_deref()).await?;
    match options.output {
        Output::Text => print!("{}", show::text(&found)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&found)?),
    }
    Ok(found.clean)
}

async fn look(
    options: &Options,
    class: &TenantClass,
    place: &Place,
    bucket: Arc<dyn ObjectStore>,
    keys: Option<&ClassKeys>,
) -> anyhow::Result<Found> {
    let environment = Environment::system();
    let history = History::within(recovery_window(class), environment.clock.now());
    let depth = if options.names_only { Depth::Names } else { Depth::Bytes(keys) };
    let (paths, outside) = if let Some(tenant) = &options.tenant {
        (vec![named(place, tenant)?], None)
    } else {
        let surveyed = survey(Arc::clone(&bucket), &place.prefix, environment.clone()).await?;
        (surveyed.tenants, Some(surveyed.outside))
    };
    let progress = progress("tenants");
    progress.set_length(paths.len() as u64);
    let tenants: Vec<Report> = stream::iter(&paths)
        .map(|path| walk(Arc::clone(&bucket), path, environment.clone(), history, depth))
        .buffered(AT_ONCE)
        .inspect_ok(|_| progress.inc(1))
        .try_collect()
        .await?;
    progress.finish_and_clear();
    if let (Some(tenant), [report]) = (&options.tenant, tenants.as_slice())
        && report.is_empty()
    {
        bail!("the bucket {} holds nothing of Tenant {tenant} at {}", place.bucket, report.location);
    }
    let clean = tenants.iter().chain(&outside).all(Report::is_clean);
    let (class, bucket) = (options.class.clone(), place.bucket.clone());
    Ok(Found { class, bucket, clean, tenants, outside })
}

/// Namespace and name.
fn names(tenant: &str) -> anyhow::Result<(&str, &str)> {
    let names = tenant.split_once('/');
    names.with_context(|| format!("{tenant:?} is no tenant's name; write NAMESPACE/NAME, such as shop/acme"))
}

fn named(place: &Place, tenant: &str) -> anyhow::Result<TenantPath> {
    let (namespace, name) = names(tenant)?;
    Ok(TenantPath::new(&place.prefix, namespace, name)?)
}

/// Moves on a terminal only: in a pod's log it would be noise.
pub(crate) fn progress(of: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}, {eta} left") {
        bar.set_style(style);
        bar.set_message(of);
    }
    bar.enable_steady_tick(TICK);
    bar
}
