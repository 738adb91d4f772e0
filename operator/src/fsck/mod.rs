//! `roost-operator fsck`: what a class's bucket holds, and whether anything is missing, damaged or left over. It reads and
//! never writes but for a pin, with `--replay`, so it may run at any time, beside everything.

mod options;
mod replay;
mod show;

pub use options::Options;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{Api, Client};
use roost_crds::TenantClass;
use roost_store::{
    ClassKeys, Environment, ObjectStore, TenantPath,
    reachability::{Depth, History, Report, survey, walk},
};
use show::Found;

use crate::{
    command_output::{Output, progress},
    garbage::recovery_window,
    storage::{Buckets, Place},
};

/// Tenants that are walked at the same time.
const AT_ONCE: usize = 8;

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
    let buckets = Buckets::new(client, &options.namespace, Environment::system());
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

fn named(place: &Place, tenant: &str) -> anyhow::Result<TenantPath> {
    let (namespace, name) = options::names(tenant)?;
    Ok(TenantPath::new(&place.prefix, namespace, name)?)
}
