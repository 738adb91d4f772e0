//! Reads the world around a Branch.

use jiff::Timestamp;
use kube::{Api, ResourceExt as _};
use roost_crds::{
    Branch, ConditionType, OperatingMode, Reason, Snapshot, SnapshotFormat, StorageLocation, Tenant,
    conditions, names::MAIN_BRANCH,
};

use crate::{
    class::{
        allowed::permitted,
        resolve::{Resolved, find, resolve},
    },
    pods::Serving,
    reasons::Fault,
    reconcile::{Elected, ReconcileError},
    served::look,
    storage::location::{identity, locate},
};

/// Where the branch starts, once it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The end of a branch.
    Branch(String),
    /// A branch as it was at a moment.
    Moment(String, Timestamp),
    /// A native snapshot of the tenant.
    Snapshot(String),
    /// Not yet, or never.
    Awaited(Fault),
}

/// The Tenant that the branch belongs to.
#[derive(Clone, Debug)]
pub enum Owner {
    /// It is there and its data is made.
    Ready(Box<Tenant>),
    /// Not (yet) there or not ready; or gone with its data.
    Lacking(Fault),
}

/// The world around a Branch.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The object.
    pub branch: Branch,
    /// Its Tenant.
    pub owner: Owner,
    /// Its class.
    pub class: Resolved,
    /// Where it starts.
    pub origin: Origin,
    /// Where its data is to lie.
    pub location: Option<StorageLocation>,
    /// Its pod.
    pub serving: Serving,
    /// The fault of that pod lately.
    pub bad_end: Option<Fault>,
}

impl Observed {
    /// Whether it was made.
    pub fn made(&self) -> bool {
        self.branch.status.as_ref().is_some_and(|status| status.position.is_some())
    }

    /// Whether its Tenant has an init script, which runs in the first wake: what is copied before would be empty for ever.
    pub fn awaits_script(&self) -> bool {
        match &self.owner {
            Owner::Ready(tenant) => {
                tenant.spec.source.as_ref().is_some_and(|source| source.init_script.is_some())
            }
            Owner::Lacking(_) => false,
        }
    }

    /// Its own mode, or its tenant's if that is stricter.
    pub fn mode(&self) -> OperatingMode {
        match &self.owner {
            Owner::Ready(tenant) if tenant.spec.operating_mode() == OperatingMode::Suspended => {
                OperatingMode::Suspended
            }
            _ => self.branch.spec.operating_mode(),
        }
    }
}

/// Reads.
pub async fn observe(elected: &Elected, branch: Branch) -> Result<Observed, ReconcileError> {
    let context = &elected.context;
    let namespace = branch.namespace().unwrap_or_default();
    let api: Api<Tenant> = Api::namespaced(context.client.clone(), &namespace);
    let tenant = api.get_opt(&branch.spec.tenant_name).await?;
    let tenant = tenant.filter(|tenant| tenant.metadata.deletion_timestamp.is_none());
    let recorded = branch.status.as_ref().and_then(|status| status.location.clone());
    let tenant_status = tenant.as_ref().and_then(|tenant| tenant.status.clone()).unwrap_or_default();
    let tenant_class = tenant_status.class_name.as_deref();
    let sticky = branch.status.as_ref().and_then(|status| status.class_name.clone());
    let asked = branch.spec.class_name.as_deref().or(tenant_class).or(sticky.as_deref());
    // Without a class of its own, and before it has one, a branch compares with its tenant's.
    let class = match asked {
        None => Resolved {
            class: None,
            fault: Some(Fault::new(Reason::TenantNotReady, "waits for its Tenant to have a class")),
        },
        asked => resolve(tenant_class.or(sticky.as_deref()), asked, &elected.index.classes()),
    };
    let made = branch.status.as_ref().is_some_and(|status| status.position.is_some());
    let class = if class.class.as_ref().is_some_and(|class| class.spec.allowed_namespaces.is_some()) {
        let has = sticky.as_deref().filter(|_| made).and_then(|name| find(name, &elected.index.classes()));
        permitted(class, has, &namespace, context.namespace(&namespace).await?.labels())
    } else {
        class
    };
    let below = format!("branches/{}/", branch.branch_name());
    let location = match (&tenant_status.location, &class.class) {
        (Some(of_tenant), Some(class)) => Some(locate(class, &identity(of_tenant), &below)),
        _ => recorded.clone(),
    };
    let owner = owner(elected, &branch, tenant, recorded.as_ref()).await?;
    let origin = match &owner {
        Owner::Ready(_) if branch.status.as_ref().is_none_or(|status| status.position.is_none()) => {
            origin(elected, &branch, &namespace).await?
        }
        _ => Origin::Branch(MAIN_BRANCH.to_owned()),
    };
    let tenant_uid = location.as_ref().map(|location| location.tenant_uid.clone()).unwrap_or_default();
    let name = branch.branch_name();
    let pod = if made { context.pods.of_branch(&tenant_uid, &name).await? } else { None };
    Ok(Observed {
        serving: look(elected, &tenant_uid, &name, pod).await,
        bad_end: elected.bad_ends.get(&tenant_uid, &name).and_then(|bad_end| bad_end.fault()),
        branch,
        owner,
        class,
        origin,
        location,
    })
}

async fn owner(
    elected: &Elected,
    branch: &Branch,
    tenant: Option<Tenant>,
    recorded: Option<&StorageLocation>,
) -> Result<Owner, ReconcileError> {
    let name = &branch.spec.tenant_name;
    match tenant {
        Some(tenant)
            if tenant.status.as_ref().is_some_and(|s| s.location.is_some() && s.position.is_some()) =>
        {
            Ok(Owner::Ready(Box::new(tenant)))
        }
        Some(_) => Ok(Owner::Lacking(Fault::new(Reason::TenantNotReady, format!("waits for Tenant {name}")))),
        None => {
            if let Some(location) = recorded
                && elected.context.buckets.is_deleted(location).await
            {
                let message = format!("Tenant {name} was deleted with its data; delete this object too");
                return Ok(Owner::Lacking(Fault::new(Reason::TenantDeleted, message)));
            }
            Ok(Owner::Lacking(Fault::new(Reason::TenantNotFound, format!("waits for Tenant {name}"))))
        }
    }
}

async fn origin(elected: &Elected, branch: &Branch, namespace: &str) -> Result<Origin, ReconcileError> {
    let from = branch.spec.from.clone().unwrap_or_default();
    let Some(name) = from.snapshot_name else {
        let name = from.branch_name.unwrap_or_else(|| MAIN_BRANCH.to_owned());
        return Ok(match from.time {
            Some(time) => judge_moment(name, time.0, elected.context.now()),
            None => Origin::Branch(name),
        });
    };
    let api: Api<Snapshot> = Api::namespaced(elected.context.client.clone(), namespace);
    Ok(judge_snapshot(&branch.spec.tenant_name, &name, api.get_opt(&name).await?.as_ref()))
}

fn judge_moment(branch: String, time: Timestamp, now: Timestamp) -> Origin {
    match Fault::of_future(time, now) {
        Some(fault) => Origin::Awaited(fault),
        None => Origin::Moment(branch, time),
    }
}

fn judge_snapshot(tenant: &str, name: &str, snapshot: Option<&Snapshot>) -> Origin {
    let awaited = |reason, message: String| Origin::Awaited(Fault::new(reason, message));
    let Some(snapshot) = snapshot else {
        return awaited(Reason::SourceNotFound, format!("waits for Snapshot {name}"));
    };
    if snapshot.spec.tenant_name != tenant {
        let message = format!(
            "Snapshot {name} is of Tenant {}; a Branch starts within its own tenant. Create a Tenant with \
             source.snapshot instead",
            snapshot.spec.tenant_name
        );
        return awaited(Reason::SourceUnsupported, message);
    }
    if snapshot.spec.format() != SnapshotFormat::Native {
        let message = format!("Snapshot {name} is of format Parquet; only Native ones can be branched from");
        return awaited(Reason::SourceUnsupported, message);
    }
    let all = snapshot.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if conditions::holds(all, ConditionType::Ready) {
        Origin::Snapshot(name.to_owned())
    } else {
        Origin::Awaited(Fault::of_incomplete(name, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_passed_can_be_branched_from() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-20T10:00:00Z");
        let passed = at("2026-11-20T09:59:59.9Z");
        assert_eq!(judge_moment("dev".into(), passed, now), Origin::Moment("dev".into(), passed));
        let Origin::Awaited(fault) = judge_moment("dev".into(), at("2026-11-20T10:00:01Z"), now) else {
            panic!("a moment that nobody knows was accepted")
        };
        assert!(fault.message.contains("2026-11-20T10:00:01Z"), "{fault:?}");
    }
}
