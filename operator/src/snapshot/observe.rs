//! Reads the world around a Snapshot.

use std::sync::Arc;

use kube::{Api, ResourceExt as _};
use roost_crds::{DeletionPolicy, Reason, Snapshot, SnapshotFormat, StorageLocation, Tenant, TenantClass};

use crate::{
    branch::source::Named,
    pods::{PodView, Purpose, names},
    reasons::Fault,
    reconcile::{Elected, ReconcileError},
    storage::location::{identity, locate},
};

/// The Tenant that the snapshot is of.
#[derive(Clone, Debug)]
pub enum Source {
    /// Its data is made.
    Ready {
        /// Where.
        location: Box<StorageLocation>,
        /// Its class.
        class: Arc<TenantClass>,
    },
    /// Not (yet) there or not ready; or gone with its data.
    Lacking(Fault),
}

/// The world around a Snapshot.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The object.
    pub snapshot: Snapshot,
    /// The Tenant that it is of.
    pub source: Source,
    /// The pod that takes it.
    pub worker: Option<PodView>,
    /// Workers of all snapshots.
    pub workers: usize,
}

impl Observed {
    /// Whether it was taken.
    pub fn complete(&self) -> bool {
        self.snapshot.status.as_ref().is_some_and(|status| status.completion_time.is_some())
    }

    /// Number of times that it was tried.
    pub fn attempts(&self) -> u32 {
        self.snapshot.status.as_ref().and_then(|status| status.attempts).unwrap_or_default()
    }

    /// The branch that it is of.
    pub fn named<'a>(&'a self, location: &'a StorageLocation) -> Named<'a> {
        let spec = &self.snapshot.spec;
        Named {
            namespace: &location.namespace,
            tenant: &spec.tenant_name,
            branch: spec.branch_name(),
            object: spec.branch_object.as_deref().unwrap_or(spec.branch_name()),
        }
    }

    /// Where its data lies: recorded, or to be.
    pub fn location(&self) -> Option<StorageLocation> {
        let recorded = self.snapshot.status.as_ref().and_then(|status| status.location.clone());
        recorded.or_else(|| match &self.source {
            Source::Ready { location, class } => Some(self.own_location(location, class)),
            Source::Lacking(_) => None,
        })
    }

    fn own_location(&self, of_tenant: &StorageLocation, class: &TenantClass) -> StorageLocation {
        let mut location = locate(class, &identity(of_tenant), "");
        let name = self.snapshot.name_any();
        location.path = match self.snapshot.spec.format() {
            SnapshotFormat::Native => format!("{}catalogue/{name}", location.path),
            SnapshotFormat::Parquet => {
                let slash = if location.prefix.is_empty() { "" } else { "/" };
                format!(
                    "{}{slash}snapshots/{}/{}/{name}/",
                    location.prefix, location.namespace, location.tenant
                )
            }
        };
        location
    }
}

/// Reads.
pub async fn observe(elected: &Elected, snapshot: Snapshot) -> Result<Observed, ReconcileError> {
    let context = &elected.context;
    let worker = match snapshot.spec.format() {
        SnapshotFormat::Parquet => {
            context.pods.get(&names::worker_pod(&snapshot.uid().unwrap_or_default())).await?
        }
        SnapshotFormat::Native => None,
    };
    let workers = elected.index.read(|records| {
        let takes = |pod: &&PodView| matches!(pod.purpose, Purpose::TakeSnapshot { .. });
        records.pods.values().filter(takes).count()
    });
    let source = source(elected, &snapshot).await?;
    Ok(Observed { snapshot, source, worker, workers })
}

async fn source(elected: &Elected, snapshot: &Snapshot) -> Result<Source, ReconcileError> {
    let namespace = snapshot.namespace().unwrap_or_default();
    let name = &snapshot.spec.tenant_name;
    let api: Api<Tenant> = Api::namespaced(elected.context.client.clone(), &namespace);
    let lacking = |reason, message: String| Ok(Source::Lacking(Fault::new(reason, message)));
    let Some(tenant) = api.get_opt(name).await? else {
        let recorded = snapshot.status.as_ref().and_then(|status| status.location.as_ref());
        let native = snapshot.spec.format() == SnapshotFormat::Native;
        if let Some(location) = recorded.filter(|_| native)
            && elected.context.buckets.is_deleted(location).await
        {
            let message = format!("Tenant {name} was deleted with its data and its native snapshots");
            return lacking(Reason::TenantDeleted, message);
        }
        return lacking(Reason::TenantNotFound, format!("waits for Tenant {name}"));
    };
    let moment = snapshot.spec.time.as_ref();
    if let Some(fault) = moment.and_then(|time| Fault::of_future(time.0, elected.context.now())) {
        return Ok(Source::Lacking(fault));
    }
    let going = tenant.metadata.deletion_timestamp.is_some();
    if going && tenant.spec.deletion_policy() == DeletionPolicy::Delete {
        return lacking(Reason::TenantNotReady, format!("Tenant {name} is being deleted"));
    }
    let status = tenant.status.unwrap_or_default();
    let class = status
        .class_name
        .as_ref()
        .and_then(|class| elected.index.read(|records| records.classes.get(class).cloned()));
    match (status.location, class) {
        (Some(location), Some(class)) => Ok(Source::Ready { location: Box::new(location), class }),
        _ => lacking(Reason::TenantNotReady, format!("waits for Tenant {name}")),
    }
}
