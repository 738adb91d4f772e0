//! Does what was planned for a Tenant.

use kube::{Api, runtime::events::EventType};
use roost_crds::{PositionSummary, Reason, StorageLocation, Tenant, names::TENANT_FINALIZER};
use roost_store::{Initialized, KeyError, TenantError};

use super::{observe::Observed, plan::Action};
use crate::{
    kubernetes::set_finalizer,
    reasons::{self, Fault, of_open},
    reconcile::{Elected, ReconcileError},
    runtime::calls,
    storage::{location::locate, position::head_position},
};

/// The results of the actions.
#[derive(Clone, Debug, Default)]
pub struct Acted {
    /// The object itself was changed; a new version will be seen.
    pub changed_object: bool,
    /// Where the data was found or made.
    pub made: Option<(PositionSummary, StorageLocation)>,
    /// Name of the class's key that wraps the tenant's data key, where it was looked up.
    pub encryption_key: Option<String>,
    /// The fault of what failed.
    pub fault: Option<Fault>,
}

/// Acts.
pub async fn act(
    elected: &Elected,
    api: &Api<Tenant>,
    observed: &Observed,
    actions: Vec<Action>,
) -> Result<Acted, ReconcileError> {
    let context = &elected.context;
    let mut acted = Acted::default();
    for action in actions {
        match action {
            Action::Finalizer(wanted) => {
                acted.changed_object = set_finalizer(api, &observed.tenant, TENANT_FINALIZER, wanted).await?;
            }
            Action::Initialize(creation, adoption) => {
                make(elected, observed, &mut acted, async |store| {
                    store.initialize_from(&observed.origin, creation, &adoption).await.map(Some)
                })
                .await?;
            }
            Action::Reattach(adoption) => {
                make(elected, observed, &mut acted, async |store| {
                    store.reattach(&observed.origin, &adoption).await
                })
                .await?;
            }
            Action::Restore { tenant, what, adoption } => {
                let progress = |_| {};
                make(elected, observed, &mut acted, async |store| {
                    store.source_copy(&tenant, &what, &adoption, &progress).await.map(Some)
                })
                .await?;
            }
            Action::Rewrap => rewrap(elected, observed, &mut acted).await?,
            Action::Drain(pods) => {
                for pod in &pods {
                    calls::drain(context, pod).await?;
                }
            }
            Action::Erase(_no_pods) => erase(elected, api, observed, &mut acted).await?,
        }
    }
    Ok(acted)
}

async fn make(
    elected: &Elected,
    observed: &Observed,
    acted: &mut Acted,
    step: impl AsyncFnOnce(roost_store::TenantStore) -> Result<Option<Initialized>, TenantError>,
) -> Result<(), ReconcileError> {
    let Some(class) = &observed.class.class else { return Ok(()) };
    let location = locate(class, &observed.identity, "");
    let store = match elected.context.buckets.tenant_with_keys(class, &location).await {
        Ok(store) => store,
        Err(error) => {
            acted.fault = Some(of_open(error)?);
            return Ok(());
        }
    };
    match step(store).await {
        Ok(None) => {}
        Ok(Some(found)) => {
            if let Some(owner) = &found.adopted_from {
                let note = format!("the data at {} was taken over from {owner}", location.path);
                elected
                    .context
                    .event(&observed.tenant, EventType::Normal, "Adopted", "Initialize", &note)
                    .await;
            }
            tracing::info!(created = found.created, location = %location.path, "initialized");
            acted.made = Some((head_position(&found.head), location));
            acted.encryption_key = found.wrapped_by;
        }
        Err(error) => acted.fault = Some(refusal(&error, observed)),
    }
    Ok(())
}

/// Why the data cannot be had. Of a script that is needed to compare it, the input that lacks.
fn refusal(error: &TenantError, observed: &Observed) -> Fault {
    match (error, &observed.script) {
        (TenantError::ScriptUnknown { .. }, Some(Err(lacking))) => {
            Fault::new(lacking.reason, format!("{}; {error}", lacking.message))
        }
        _ => reasons::of_tenant(error),
    }
}

/// Has the class's current key wrap the tenant's data key.
async fn rewrap(elected: &Elected, observed: &Observed, acted: &mut Acted) -> Result<(), ReconcileError> {
    let location = observed.tenant.status.as_ref().and_then(|status| status.location.as_ref());
    let (Some(class), Some(location)) = (&observed.class.class, location) else { return Ok(()) };
    let store = match elected.context.buckets.tenant_with_keys(class, location).await {
        Ok(store) => store,
        Err(error) => {
            acted.fault = Some(of_open(error)?);
            return Ok(());
        }
    };
    match store.rewrap_data_key().await {
        Ok(Some(name)) => acted.encryption_key = Some(name),
        Ok(None) => acted.fault = Some(reasons::of_tenant(&KeyError::Removed.into())),
        Err(error) => acted.fault = Some(reasons::of_tenant(&error)),
    }
    Ok(())
}

/// Deletes the data if it is this tenant's, and lets the object go.
async fn erase(
    elected: &Elected,
    api: &Api<Tenant>,
    observed: &Observed,
    acted: &mut Acted,
) -> Result<(), ReconcileError> {
    let recorded = observed.tenant.status.as_ref().and_then(|status| status.location.clone());
    // A first reconcile may have made the data without being able to say so.
    let computed = || observed.class.class.as_ref().map(|class| locate(class, &observed.identity, ""));
    if let Some(location) = recorded.or_else(computed) {
        let store = match elected.context.buckets.tenant(&location).await {
            Ok(store) => store,
            Err(error) => {
                acted.fault = Some(deletion(&of_open(error)?));
                return Ok(());
            }
        };
        match store.delete_all().await {
            Ok(()) => tracing::info!(location = %location.path, "data deleted"),
            Err(error @ (TenantError::OwnedElsewhere { .. } | TenantError::OwnerUnknown { .. })) => {
                let note = format!("nothing was deleted: {error}");
                elected
                    .context
                    .event(&observed.tenant, EventType::Warning, "DataKept", "Delete", &note)
                    .await;
            }
            Err(error) => {
                acted.fault = Some(deletion(&reasons::of_tenant(&error)));
                return Ok(());
            }
        }
    }
    acted.changed_object = set_finalizer(api, &observed.tenant, TENANT_FINALIZER, false).await?;
    Ok(())
}

fn deletion(fault: &Fault) -> Fault {
    let reason = if fault.reason.row().stalled { Reason::DeletionFailed } else { fault.reason };
    Fault::new(reason, format!("the data cannot be deleted: {}", fault.message))
}
