//! Does what was planned for a Snapshot.

use kube::{Api, ResourceExt as _, runtime::events::EventType};
use roost_crds::{Reason, Snapshot, SnapshotFormat, StorageLocation, names::SNAPSHOT_FINALIZER};
use roost_protocol::{report::Report, status::RuntimeState};
use roost_store::{
    BranchName, DatedPosition, FolderError, PinKind, SnapshotFolder, TenantError, TenantStore,
};

use super::{
    observe::{Observed, Source},
    plan::Action,
    taken::{Summary, Taken},
    worker,
};
use crate::{
    branch::{flush, source},
    kubernetes::set_finalizer,
    pods::{PodView, Stage, names},
    reasons::{Fault, of_folder, of_open, of_tenant},
    reconcile::{Elected, ReconcileError, expiry, left_behind},
    storage::{Place, location::owner, position},
};

/// The result of the action.
#[derive(Clone, Debug, Default)]
pub struct Acted {
    /// The object itself was changed; a new version will be seen.
    pub changed_object: bool,
    /// It is complete.
    pub taken: Option<Taken>,
    /// A worker failed.
    pub attempt_failed: bool,
    /// The fault of what failed.
    pub fault: Option<Fault>,
    /// Worker to remove once the status is written.
    pub worker_to_remove: Option<PodView>,
}

/// Acts.
pub async fn act(
    elected: &Elected,
    api: &Api<Snapshot>,
    observed: &Observed,
    action: Action,
) -> Result<Acted, ReconcileError> {
    let mut acted = Acted::default();
    match action {
        Action::Nothing => {}
        Action::Finalizer(wanted) => {
            acted.changed_object = set_finalizer(api, &observed.snapshot, SNAPSHOT_FINALIZER, wanted).await?;
        }
        Action::Expire => {
            expiry::expire(api, &observed.snapshot).await?;
            acted.changed_object = true;
        }
        Action::TakeNative => match take_native(elected, observed).await? {
            Ok(taken) => acted.taken = Some(taken),
            Err(fault) => acted.fault = Some(fault),
        },
        Action::StartWorker => acted.fault = start(elected, observed).await?,
        Action::Grant(pod) => {
            if let (Source::Ready { class, .. }, Some(location)) = (&observed.source, observed.location()) {
                acted.fault = worker::grant(elected, observed, &pod, &location, class).await?.err();
            }
        }
        Action::Conclude(pod) => conclude(elected, observed, &pod, &mut acted).await?,
        Action::StopWorker(pod) => elected.context.pods.delete(&pod).await?,
        Action::Erase => erase(elected, api, observed, &mut acted).await?,
    }
    Ok(acted)
}

/// The remains of an earlier Snapshot object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Former {
    /// It is there.
    Object,
    /// Its worker, which may still write.
    Worker,
    /// Only what it took.
    Data,
}

/// Looks for the remains of the Snapshot object with this uid.
async fn former(elected: &Elected, location: &StorageLocation, uid: &str) -> Result<Former, ReconcileError> {
    let api = Api::namespaced(elected.context.client.clone(), &location.namespace);
    if !left_behind::is_gone::<Snapshot>(&api, uid).await? {
        return Ok(Former::Object);
    }
    let worker = elected.context.pods.get(&names::worker_pod(uid)).await?;
    Ok(if worker.is_some() { Former::Worker } else { Former::Data })
}

/// Makes the folder this snapshot's if another object left it behind; what is wrong if another has it.
async fn own_folder(
    elected: &Elected,
    observed: &Observed,
    location: &StorageLocation,
    store: &TenantStore,
    branch: &BranchName,
) -> Result<Option<Fault>, ReconcileError> {
    let context = &elected.context;
    let (name, uid) = (observed.snapshot.name_any(), observed.snapshot.uid().unwrap_or_default());
    let bucket = context.buckets.open(&Place::from(location)).await?;
    let from = match SnapshotFolder::claimed_by(&bucket, &context.environment, &location.path).await {
        Ok(Some(claim)) if claim.uid != uid => claim.uid,
        Ok(_) => return Ok(None),
        Err(error) => return Ok(Some(of_folder(&error))),
    };
    match former(elected, location, &from).await? {
        Former::Object => {
            let message = format!("the Snapshot object with uid {from} has the folder; choose another name");
            return Ok(Some(Fault::new(Reason::SnapshotFailed, message)));
        }
        Former::Worker => {
            let message = "waits until the worker of the Snapshot object that was deleted has ended";
            return Ok(Some(Fault::new(Reason::SnapshotRetrying, message)));
        }
        Former::Data => {}
    }
    // The catalogue first: it says of which branch the files are.
    match store.reattach_snapshot(&name, &from, &uid, branch, false).await {
        Ok(_) | Err(TenantError::SnapshotNotFound(_)) => {}
        Err(error) => return Ok(Some(of_tenant(&error))),
    }
    let (environment, owner) = (&context.environment, owner(location));
    match SnapshotFolder::reattach(&bucket, environment, &location.path, &owner, &from, &uid).await {
        Ok(()) => {
            left_behind::tell(&elected.context, &observed.snapshot, "Snapshot").await;
            Ok(None)
        }
        Err(error) => Ok(Some(of_folder(&error))),
    }
}

async fn start(elected: &Elected, observed: &Observed) -> Result<Option<Fault>, ReconcileError> {
    let (Source::Ready { class, .. }, Some(location)) = (&observed.source, observed.location()) else {
        return Ok(None);
    };
    let branch = observed.snapshot.spec.branch_name();
    let store = match elected.context.buckets.tenant(&location).await {
        Ok(store) => store,
        Err(error) => return Ok(Some(of_open(error)?)),
    };
    if let Some(fault) = source::refusal(&elected.context, &store, observed.named(&location)).await? {
        return Ok(Some(fault));
    }
    if let Err(fault) = flush(&elected.context, &location.tenant_uid, branch).await? {
        return Ok(Some(fault));
    }
    // Before a pod is spent on it: is there anything to export?
    let name = match BranchName::new(branch) {
        Ok(name) => name,
        Err(error) => return Ok(Some(Fault::new(Reason::InvalidSpec, error.to_string()))),
    };
    if let Err(error) = store.check_published(&name).await {
        return Ok(Some(of_tenant(&error)));
    }
    if let Some(fault) = own_folder(elected, observed, &location, &store, &name).await? {
        return Ok(Some(fault));
    }
    worker::start(elected, observed, &location, class).await?;
    Ok(None)
}

async fn take_native(elected: &Elected, observed: &Observed) -> Result<Result<Taken, Fault>, ReconcileError> {
    let Some(location) = observed.location() else {
        return Ok(Err(Fault::new(Reason::TenantNotReady, "waits for its Tenant")));
    };
    let store = match elected.context.buckets.tenant(&location).await {
        Ok(store) => store,
        Err(error) => return Ok(Err(of_open(error)?)),
    };
    let branch = match BranchName::new(observed.snapshot.spec.branch_name()) {
        Ok(branch) => branch,
        Err(error) => return Ok(Err(Fault::new(Reason::InvalidSpec, error.to_string()))),
    };
    let (name, uid) = (observed.snapshot.name_any(), observed.snapshot.uid().unwrap_or_default());
    let at = observed.snapshot.spec.time.as_ref().map(|time| time.0);
    let found = match store.find_snapshot(&name).await {
        Ok(entry) if entry.uid == uid => Ok(entry),
        Ok(entry) => Err(TenantError::SnapshotExists { name: entry.name, uid: entry.uid }),
        // Only what is not there is taken, and only then the right to the branch counts.
        Err(TenantError::SnapshotNotFound(_)) => {
            if let Some(fault) = source::refusal(&elected.context, &store, observed.named(&location)).await? {
                return Ok(Err(fault));
            }
            if let Err(fault) = flush(&elected.context, &location.tenant_uid, branch.as_str()).await? {
                return Ok(Err(fault));
            }
            store.snapshot(&name, &uid, &branch, at).await
        }
        Err(error) => Err(error),
    };
    let entry = match found {
        Err(TenantError::SnapshotExists { uid: from, .. })
            if former(elected, &location, &from).await? == Former::Data =>
        {
            let attached = store.reattach_snapshot(&name, &from, &uid, &branch, true).await;
            if attached.is_ok() {
                left_behind::tell(&elected.context, &observed.snapshot, "Snapshot").await;
            }
            attached
        }
        other => other,
    };
    Ok(match entry {
        Ok(entry) => Ok(Taken {
            completed: Some(entry.created),
            by_another: entry.taken_by.is_some(),
            position: Some(position::shown(&entry.position)),
            summary: Summary { size: Some(entry.size), ..Summary::default() },
        }),
        Err(error) => Err(of_tenant(&error)),
    })
}

/// Reads a worker's last words, records the snapshot in the catalogue and lets the pin go.
async fn conclude(
    elected: &Elected,
    observed: &Observed,
    pod: &PodView,
    acted: &mut Acted,
) -> Result<(), ReconcileError> {
    let (name, uid) = (observed.snapshot.name_any(), observed.snapshot.uid().unwrap_or_default());
    let location = observed.location();
    let store = match &location {
        Some(location) => elected.context.buckets.tenant(location).await.ok(),
        None => None,
    };
    let ending = pod.ending();
    let sealed = ending.filter(|ending| ending.state == RuntimeState::Sealed);
    if let Some((ending, Some(Report::Snapshot(report)))) = sealed.map(|ending| (ending, &ending.report)) {
        let summary = Summary::of(report);
        let position = ending.position.clone();
        let mut by_another = false;
        if let (Some(store), Some(position), Some(location)) = (&store, &position, &location) {
            let taken = DatedPosition { position: position.clone(), last_commit: None };
            let size = summary.size.unwrap_or_default();
            match store.record_parquet(&name, &uid, &taken, &location.path, size).await {
                Ok(entry) => by_another = entry.taken_by.is_some(),
                // The folder is complete and says everything; the catalogue only lists it.
                Err(error) => tracing::warn!(%error, snapshot = %name, "not recorded in the catalogue"),
            }
        }
        let position = position.as_ref().map(position::shown);
        acted.taken = Some(Taken { completed: summary.completed_at, by_another, position, summary });
    } else {
        let why = match (ending.and_then(|ending| ending.problem.as_ref()), &pod.stage) {
            (Some(problem), _) => problem.to_string(),
            (None, Stage::Finished { exit, .. }) => format!("the worker ended: {exit}"),
            (None, _) => "the worker ended".to_owned(),
        };
        acted.attempt_failed = true;
        acted.fault = Some(Fault::new(Reason::SnapshotRetrying, why));
    }
    if let Some(store) = &store
        && let Err(error) = store.unpin_all(PinKind::Reader, &name, &uid).await
    {
        tracing::warn!(%error, snapshot = %name, "a pin was left behind");
    }
    acted.worker_to_remove = Some(pod.clone());
    Ok(())
}

/// Deletes what this object took, and lets the object go.
async fn erase(
    elected: &Elected,
    api: &Api<Snapshot>,
    observed: &Observed,
    acted: &mut Acted,
) -> Result<(), ReconcileError> {
    if let Some(location) = observed.location() {
        match delete_data(elected, observed, &location).await? {
            Ok(()) => tracing::info!(location = %location.path, "snapshot deleted"),
            Err(Fault { reason: Reason::DataOwnedElsewhere, message }) => {
                let note = format!("nothing was deleted: {message}");
                elected
                    .context
                    .event(&observed.snapshot, EventType::Warning, "DataKept", "Delete", &note)
                    .await;
            }
            Err(fault) => {
                acted.fault = Some(fault);
                return Ok(());
            }
        }
    }
    acted.changed_object = set_finalizer(api, &observed.snapshot, SNAPSHOT_FINALIZER, false).await?;
    Ok(())
}

async fn delete_data(
    elected: &Elected,
    observed: &Observed,
    location: &StorageLocation,
) -> Result<Result<(), Fault>, ReconcileError> {
    let context = &elected.context;
    let (name, uid) = (observed.snapshot.name_any(), observed.snapshot.uid().unwrap_or_default());
    let store = match context.buckets.tenant(location).await {
        Ok(store) => store,
        Err(error) => return Ok(Err(of_open(error)?)),
    };
    if observed.snapshot.spec.format() == SnapshotFormat::Parquet {
        let bucket = context.buckets.open(&Place::from(location)).await?;
        let owner = owner(location);
        match SnapshotFolder::delete(&bucket, &context.environment, &location.path, &owner, &uid).await {
            Ok(()) => {}
            Err(error @ FolderError::SnapshotExists { .. }) => {
                return Ok(Err(Fault::new(Reason::DataOwnedElsewhere, error.to_string())));
            }
            Err(error) => return Ok(Err(of_folder(&error))),
        }
    }
    Ok(match store.delete_snapshot(&name, &uid).await {
        Ok(()) | Err(TenantError::DataMissing { .. } | TenantError::BeingDeleted { .. }) => Ok(()),
        // The tenant's prefix is no longer ours, but the folder was.
        Err(TenantError::OwnedElsewhere { .. } | TenantError::OwnerUnknown { .. })
            if observed.snapshot.spec.format() == SnapshotFormat::Parquet =>
        {
            Ok(())
        }
        Err(error) => Err(of_tenant(&error)),
    })
}
