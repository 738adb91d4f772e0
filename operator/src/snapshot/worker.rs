//! The worker pod of a Parquet snapshot: started, granted a pinned position, concluded by its last words.

use std::time::Duration;

use kube::{Api, ResourceExt as _};
use roost_crds::{Reason, StorageLocation, Tenant, TenantClass};
use roost_protocol::{
    command::Order,
    grant::{ExportParquet, Task},
    problem::ErrorCode,
    status::RuntimeState,
};
use roost_store::{BranchName, PinKind};

use super::observe::Observed;
use crate::{
    branch::source,
    pods::{PodOf, PodTask, PodView, TenantBranch},
    reasons::{Fault, of_open, of_tenant},
    reconcile::{Elected, ReconcileError},
    runtime::{
        CallError, calls,
        grant::{self, AccessError, DataAccess},
    },
    storage::{Place, StepError, location::identity},
};

/// Longest time that a worker may take to answer its grant.
const GRANT_TIMEOUT: Duration = Duration::from_secs(20);

/// Creates the pod; one that exists already is as good.
pub async fn start(
    elected: &Elected,
    observed: &Observed,
    location: &StorageLocation,
    class: &TenantClass,
) -> Result<(), ReconcileError> {
    let context = &elected.context;
    let of = PodOf {
        branch: TenantBranch::at(location, observed.snapshot.spec.branch_name()),
        task: PodTask::TakeSnapshot {
            snapshot: observed.snapshot.name_any(),
            snapshot_uid: observed.snapshot.uid().unwrap_or_default(),
        },
    };
    context.pods.create(class, &of, &*context.trusted()?, context.now()).await?;
    Ok(())
}

/// Pins the position and hands it over, unless the worker has one already.
pub async fn grant(
    elected: &Elected,
    observed: &Observed,
    pod: &PodView,
    location: &StorageLocation,
    class: &TenantClass,
) -> Result<Result<(), Fault>, ReconcileError> {
    let context = &elected.context;
    match calls::order(context, pod, Order::Report).await {
        Ok(status) if status.state != RuntimeState::Pooled => return Ok(Ok(())),
        Ok(_) => {}
        Err(CallError::Problem(problem)) if problem.code == ErrorCode::NotServing => {}
        // It does not listen yet, or ends just now: the next look tells.
        Err(_) => return Ok(Ok(())),
    }
    let store = match context.buckets.tenant(location).await {
        Ok(store) => store,
        Err(error) => return Ok(Err(of_open(error)?)),
    };
    // Asked again: the object may have gone since the pod was started.
    if let Some(fault) = source::refusal(context, &store, observed.named(location)).await? {
        return Ok(Err(fault));
    }
    let (name, uid) = (observed.snapshot.name_any(), observed.snapshot.uid().unwrap_or_default());
    let branch = match BranchName::new(observed.snapshot.spec.branch_name()) {
        Ok(branch) => branch,
        Err(error) => return Ok(Err(Fault::new(Reason::InvalidSpec, error.to_string()))),
    };
    let at = observed.snapshot.spec.time.as_ref().map(|time| time.0);
    let pinned = match store.pin(PinKind::Reader, &name, &uid, &branch, at).await {
        Ok(pinned) => pinned,
        Err(error) => return Ok(Err(of_tenant(&error))),
    };
    let tenants: Api<Tenant> = Api::namespaced(context.client.clone(), &location.namespace);
    let recorded = tenants.get_opt(&location.tenant).await?.and_then(|tenant| tenant.status?.encryption_key);
    let (place, identity) = (Place::from(location), identity(location));
    let access = match DataAccess::of(context, &class.spec, &place, identity, recorded.as_deref()).await {
        Ok(access) => access,
        Err(AccessError::Storage(error)) => return Err(error.into()),
        Err(AccessError::DataKey(StepError::Open(error))) => return Ok(Err(of_open(error)?)),
        Err(AccessError::DataKey(StepError::Tenant(error))) => return Ok(Err(of_tenant(&error))),
    };
    let task = Task::ExportParquet(ExportParquet {
        snapshot: name,
        snapshot_uid: uid,
        position: pinned.position,
        pin: pinned.pin,
    });
    let grant = grant::grant(context, pod, &class.spec, access, branch.as_str(), task)?;
    match calls::hand_over(context, pod, &grant, GRANT_TIMEOUT).await {
        Err(CallError::Problem(problem)) if problem.code != ErrorCode::AlreadyGranted => {
            Ok(Err(Fault::new(Reason::SnapshotRetrying, problem.to_string())))
        }
        // Without an answer it may have it: a second grant would be refused, so the next look asks first.
        _ => Ok(Ok(())),
    }
}
