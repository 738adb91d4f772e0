//! Does what was planned for a Branch.

use kube::{Api, ResourceExt as _, runtime::events::EventType};
use roost_crds::{Branch, PositionSummary, Reason, StorageLocation, names::BRANCH_FINALIZER};
use roost_store::{BranchName, BranchObject, BranchSource, CreatedBranch, Head, TenantError, TenantStore};

use super::{
    flush::flush,
    observe::{Observed, Origin},
    plan::Action,
    source::{self, Named},
};
use crate::{
    kubernetes::set_finalizer,
    reasons::{self, Fault, of_open},
    reconcile::{Elected, ReconcileError, expiry, left_behind},
    runtime::calls,
    storage::position::{head_position, shown},
};

/// The results of the actions.
#[derive(Clone, Debug, Default)]
pub struct Acted {
    /// The object itself was changed; a new version will be seen.
    pub changed_object: bool,
    /// The branch's position and where it began.
    pub made: Option<(PositionSummary, Option<PositionSummary>)>,
    /// The branch names this object.
    pub object_recorded: bool,
    /// The fault of what failed.
    pub fault: Option<Fault>,
}

/// Acts.
pub async fn act(
    elected: &Elected,
    api: &Api<Branch>,
    observed: &Observed,
    actions: Vec<Action>,
) -> Result<Acted, ReconcileError> {
    let mut acted = Acted::default();
    for action in actions {
        match action {
            Action::Finalizer(wanted) => {
                acted.changed_object = set_finalizer(api, &observed.branch, BRANCH_FINALIZER, wanted).await?;
            }
            Action::Expire => {
                expiry::expire(api, &observed.branch).await?;
                acted.changed_object = true;
            }
            Action::RecordObject => record_object(elected, observed, &mut acted).await,
            Action::Create(origin) => create(elected, observed, &origin, &mut acted).await?,
            Action::Drain(pod) => calls::drain(&elected.context, &pod).await?,
            Action::Erase(_no_pod) => erase(elected, api, observed, &mut acted).await?,
        }
    }
    Ok(acted)
}

async fn create(
    elected: &Elected,
    observed: &Observed,
    origin: &Origin,
    acted: &mut Acted,
) -> Result<(), ReconcileError> {
    let Some(location) = &observed.location else { return Ok(()) };
    let source = match origin {
        Origin::Branch(name) => BranchName::new(name).map(BranchSource::Branch),
        Origin::Moment(name, time) => BranchName::new(name).map(|name| BranchSource::Moment(name, *time)),
        Origin::Snapshot(name) => Ok(BranchSource::Snapshot(name.clone())),
        Origin::Awaited(fault) => {
            acted.fault = Some(fault.clone());
            return Ok(());
        }
    };
    let names = source.and_then(|source| Ok((source, BranchName::new(observed.branch.branch_name())?)));
    let (source, name) = match names {
        Ok(names) => names,
        Err(error) => {
            acted.fault = Some(Fault::new(Reason::InvalidSpec, error.to_string()));
            return Ok(());
        }
    };
    let store = match elected.context.buckets.tenant(location).await {
        Ok(store) => store,
        Err(error) => {
            acted.fault = Some(of_open(error)?);
            return Ok(());
        }
    };
    // What is there is found or refused. Only what is not there is copied, and only then the right to the source counts.
    let created = match store.head(&name).await {
        Ok(head) if head.uid == observed.branch.uid() => Ok(CreatedBranch { head }),
        Ok(Head { uid: Some(from), .. }) => {
            inherit(elected, observed, location, &store, &name, &source, from).await?
        }
        Ok(_) | Err(TenantError::BranchNotFound(_)) => {
            copy(elected, observed, location, &store, &name, &source).await?
        }
        Err(error) => Err(reasons::of_tenant(&error)),
    };
    match created {
        Ok(created) => {
            acted.object_recorded = created.head.object.is_some();
            acted.made = Some((head_position(&created.head), created.head.source.as_ref().map(shown)));
        }
        Err(fault) => acted.fault = Some(fault),
    }
    Ok(())
}

/// Makes the branch of its source, if that is what its author was asked about.
async fn copy(
    elected: &Elected,
    observed: &Observed,
    location: &StorageLocation,
    store: &TenantStore,
    name: &BranchName,
    source: &BranchSource,
) -> Result<Result<CreatedBranch, Fault>, ReconcileError> {
    let context = &elected.context;
    if let BranchSource::Branch(branch) | BranchSource::Moment(branch, _) = source {
        let branch = branch.as_str();
        let from = observed.branch.spec.from.as_ref();
        let object = from.and_then(|from| from.branch_object.as_deref()).unwrap_or(branch);
        let named = Named { namespace: &location.namespace, tenant: &location.tenant, branch, object };
        if let Some(fault) = source::refusal(context, store, named).await? {
            return Ok(Err(fault));
        }
    }
    if let BranchSource::Branch(from) = source
        && observed.awaits_script()
        && let Err(error) = store.check_published(from).await
    {
        return Ok(Err(reasons::of_tenant(&error)));
    }
    if let BranchSource::Branch(branch) = source
        && let Err(fault) = flush(context, &location.tenant_uid, branch.as_str()).await?
    {
        return Ok(Err(fault));
    }
    let (own_name, uid) = (observed.branch.name_any(), observed.branch.uid().unwrap_or_default());
    match store.create_branch(name, BranchObject { name: &own_name, uid: &uid }, source).await {
        Err(TenantError::BranchNameTaken { uid: Some(from), .. }) => {
            inherit(elected, observed, location, store, name, source, from).await
        }
        created => Ok(created.map_err(|error| reasons::of_tenant(&error))),
    }
}

/// Takes the branch that the object with the uid `from` left behind, once that object is gone and its pod has left.
async fn inherit(
    elected: &Elected,
    observed: &Observed,
    location: &StorageLocation,
    store: &TenantStore,
    name: &BranchName,
    source: &BranchSource,
    from: String,
) -> Result<Result<CreatedBranch, Fault>, ReconcileError> {
    let context = &elected.context;
    let api = Api::namespaced(context.client.clone(), &location.namespace);
    if !left_behind::is_gone::<Branch>(&api, &from).await? {
        let taken = TenantError::BranchNameTaken { name: name.clone(), uid: Some(from) };
        return Ok(Err(reasons::of_tenant(&taken)));
    }
    // What was observed is this object's own pod, which it cannot have yet.
    if let Some(pod) = context.pods.of_branch(&location.tenant_uid, name.as_str()).await? {
        calls::drain(context, &pod).await?;
        let message = "the pod of an earlier Branch object of this name is leaving";
        return Ok(Err(Fault::new(Reason::Initializing, message)));
    }
    let (own_name, uid) = (observed.branch.name_any(), observed.branch.uid().unwrap_or_default());
    let object = BranchObject { name: &own_name, uid: &uid };
    let attached = store.reattach_branch(name, &from, object, source).await;
    if attached.is_ok() {
        left_behind::tell(context, &observed.branch, "Create").await;
    }
    Ok(attached.map_err(|error| reasons::of_tenant(&error)))
}

/// Whether that fails is no matter of the branch's: it is tried again.
async fn record_object(elected: &Elected, observed: &Observed, acted: &mut Acted) {
    let (Some(location), Ok(name)) = (&observed.location, BranchName::new(observed.branch.branch_name()))
    else {
        return;
    };
    let (own_name, uid) = (observed.branch.name_any(), observed.branch.uid().unwrap_or_default());
    let Ok(store) = elected.context.buckets.tenant(location).await else { return };
    match store.record_object(&name, BranchObject { name: &own_name, uid: &uid }).await {
        Ok(()) => acted.object_recorded = true,
        Err(error) => tracing::warn!(%error, branch = %own_name, "the branch does not name its object yet"),
    }
}

/// Deletes the branch if this object made it, and lets the object go.
async fn erase(
    elected: &Elected,
    api: &Api<Branch>,
    observed: &Observed,
    acted: &mut Acted,
) -> Result<(), ReconcileError> {
    let uid = observed.branch.uid().unwrap_or_default();
    // Also one that was never said to be made: its status may have been lost.
    if let (Some(location), Ok(name)) = (&observed.location, BranchName::new(observed.branch.branch_name())) {
        let store = match elected.context.buckets.tenant(location).await {
            Ok(store) => store,
            Err(error) => {
                acted.fault = Some(of_open(error)?);
                return Ok(());
            }
        };
        match store.delete_branch(&name, &uid).await {
            Ok(()) => tracing::info!(location = %location.path, "branch deleted"),
            Err(error @ (TenantError::OwnedElsewhere { .. } | TenantError::OwnerUnknown { .. })) => {
                let note = format!("nothing was deleted: {error}");
                elected
                    .context
                    .event(&observed.branch, EventType::Warning, "DataKept", "Delete", &note)
                    .await;
            }
            // Gone with its tenant, or never made.
            Err(
                TenantError::DataMissing { .. }
                | TenantError::BranchNotFound(_)
                | TenantError::BeingDeleted { .. },
            ) => {}
            Err(error) => {
                acted.fault = Some(reasons::of_tenant(&error));
                return Ok(());
            }
        }
    }
    acted.changed_object = set_finalizer(api, &observed.branch, BRANCH_FINALIZER, false).await?;
    Ok(())
}
