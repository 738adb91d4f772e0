//! The worker pod of a Parquet snapshot: started, granted a pinned position, concluded by its last words.

use std::time::Duration;

use kube::{Api, ResourceExt as _};
use roost_crds::{Reason, StorageLocation, Tenant, TenantClass};
use roost_protocol::{
    PROTOCOL_VERSION,
    command::Order,
    grant::{ExportParquet, GRANT_VALIDITY, Grant, Task},
    problem::ErrorCode,
    status::RuntimeState,
};
use roost_store::{BranchName, PinKind};
use uuid::Uuid;

use super::observe::Observed;
use crate::{
    branch::source,
    class::settings,
    data_key::{self, DataKeyError},
    elected::Elected,
    fault::{Fault, of_tenant},
    pods::{
        PodView,
        build::{PodOf, Role},
        calls,
    },
    runtime_client::CallError,
    storage::Place,
    whereabouts::{identity, open_fault, tenant_store},
    work::ReconcileError,
};

/// How long a worker may take to answer its grant.
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
        namespace: &location.namespace,
        tenant: &location.tenant,
        tenant_uid: &location.tenant_uid,
        role: Role::Worker {
            snapshot: observed.snapshot.name_any(),
            snapshot_uid: observed.snapshot.uid().unwrap_or_default(),
            branch: observed.snapshot.spec.branch_name().to_owned(),
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
    let store = match tenant_store(context, location).await {
        Ok(store) => store,
        Err(error) => return Ok(Err(open_fault(error)?)),
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
    let (storage, _version) = context.buckets.resolve(&Place::from(location)).await?;
    let tenants: Api<Tenant> = Api::namespaced(context.client.clone(), &location.namespace);
    let told = tenants.get_opt(&location.tenant).await?.and_then(|tenant| tenant.status?.encryption_key);
    let owner = identity(location);
    let data_key = match data_key::unwrapped(context, &class.spec, &storage, &owner, told.as_deref()).await {
        Ok(key) => key,
        Err(DataKeyError::Open(error)) => return Ok(Err(open_fault(error.into())?)),
        Err(DataKeyError::Tenant(error)) => return Ok(Err(of_tenant(&error))),
    };
    let trusted = context.trusted()?;
    let grant = Grant {
        version: PROTOCOL_VERSION,
        pod: pod.name.clone(),
        pod_uid: pod.uid.clone(),
        not_after: calls::unix_millis(context.now()).plus(GRANT_VALIDITY),
        nonce: Uuid::new_v4(),
        tenant: identity(location),
        branch: branch.to_string(),
        storage,
        data_key,
        task: Task::ExportParquet(ExportParquet {
            snapshot: name,
            snapshot_uid: uid,
            position: pinned.position,
            pin: pinned.pin,
        }),
        engine: settings::engine_limits(&class.spec),
        gateway_key: trusted.trust.session_key,
    };
    match calls::hand_over(context, pod, &grant, GRANT_TIMEOUT).await {
        Err(CallError::Problem(problem)) if problem.code != ErrorCode::AlreadyGranted => {
            Ok(Err(Fault::new(Reason::SnapshotRetrying, problem.to_string())))
        }
        // Without an answer it may have it: a second grant would be refused, so the next look asks first.
        _ => Ok(Ok(())),
    }
}
