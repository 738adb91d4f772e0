//! The branch that a copy is made of. Admission asked whether the copy's author may read a Branch object, by its name; only
//! what that very object has is copied.

use kube::{Api, ResourceExt as _};
use roost_crds::{Branch, Reason, names::MAIN_BRANCH};
use roost_store::{BranchName, TenantError, TenantStore};

use super::find::find_branch;
use crate::{
    context::Context,
    reasons::{self, Fault},
    reconcile::ReconcileError,
};

/// A branch as a copy's spec names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Namespace of the objects.
    pub namespace: &'a str,
    /// The tenant.
    pub tenant: &'a str,
    /// The branch within the tenant.
    pub branch: &'a str,
    /// Name of the Branch object that is said to have it.
    pub object: &'a str,
}

/// Why the branch cannot be copied; none if it can. `main` has no object: rights on it are rights on the Tenant.
pub async fn refusal(
    context: &Context,
    store: &TenantStore,
    named: Named<'_>,
) -> Result<Option<Fault>, ReconcileError> {
    if named.branch == MAIN_BRANCH {
        return Ok(None);
    }
    let api: Api<Branch> = Api::namespaced(context.client.clone(), named.namespace);
    let object = api.get_opt(named.object).await?;
    let name = match BranchName::new(named.branch) {
        Ok(name) => name,
        Err(error) => return Ok(Some(Fault::new(Reason::InvalidSpec, error.to_string()))),
    };
    let owner = match store.head(&name).await {
        Ok(head) => head.uid,
        Err(TenantError::BranchNotFound(_)) => None,
        Err(error) => return Ok(Some(reasons::of_tenant(&error))),
    };
    if owns(named, object.as_ref(), owner.as_deref()) {
        return Ok(None);
    }
    let other = find_branch(context, named.namespace, named.tenant, named.branch).await?;
    Ok(Some(fault_of(named, other.as_ref(), owner.as_deref())))
}

/// Whether the object that was named has the branch. HEAD says which object has it; status may tell of an earlier time.
fn owns(named: Named<'_>, object: Option<&Branch>, owner: Option<&str>) -> bool {
    let said = object
        .filter(|object| object.spec.tenant_name == named.tenant && object.branch_name() == named.branch)
        .and_then(|object| object.metadata.uid.as_deref());
    said.is_some() && said == owner
}

/// The fault to tell; `found` is the object that has, or will have, a branch of this name.
fn fault_of(named: Named<'_>, found: Option<&Branch>, owner: Option<&str>) -> Fault {
    let Named { tenant, branch, object, .. } = named;
    match found {
        Some(found) if found.name_any() != object && found.metadata.uid.as_deref() == owner => {
            let has = found.name_any();
            let message = format!(
                "branch {branch} of Tenant {tenant} is that of the Branch object {has}, not of {object}, which is what the \
                 right to copy was asked for; create this object again with branchObject: {has}"
            );
            Fault::new(Reason::SourceNotFound, message)
        }
        Some(found) if found.name_any() == object => {
            Fault::new(Reason::SourceNotReady, format!("waits for Branch {object} to be made"))
        }
        _ => {
            let message = format!("waits for a Branch {object} that is branch {branch} of Tenant {tenant}");
            Fault::new(Reason::SourceNotFound, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn branch(name: &str, uid: &str, spec: serde_json::Value) -> Branch {
        let metadata = json!({"name": name, "namespace": "shop", "uid": uid});
        let object = json!({"apiVersion": "roostdb.dev/v1alpha1", "kind": "Branch", "metadata": metadata, "spec": spec});
        serde_json::from_value(object).unwrap()
    }

    fn named(object: &str) -> Named<'_> {
        Named { namespace: "shop", tenant: "acme", branch: "dev", object }
    }

    #[test]
    fn only_the_object_that_has_the_branch_gives_it_away() {
        let dev = json!({"tenantName": "acme", "branchName": "dev"});
        let own = |name| branch(name, "1", json!({"tenantName": "acme"}));
        let table = [
            (named("dev"), Some(own("dev")), Some("1"), true),
            (named("acme-dev"), Some(branch("acme-dev", "1", dev.clone())), Some("1"), true),
            // No such object, though somebody has the branch.
            (named("dev"), None, Some("1"), false),
            // An object that waits for the name, or had it in an earlier life of the tenant.
            (named("mine"), Some(branch("mine", "2", dev)), Some("1"), false),
            (named("dev"), Some(own("dev")), None, false),
            // Its name is that of the branch, but its branch is another, or another tenant's.
            (
                named("dev"),
                Some(branch("dev", "1", json!({"tenantName": "acme", "branchName": "x"}))),
                Some("1"),
                false,
            ),
            (named("dev"), Some(branch("dev", "1", json!({"tenantName": "other"}))), Some("1"), false),
        ];
        for (named, object, owner, expected) in table {
            assert_eq!(owns(named, object.as_ref(), owner), expected, "{named:?} {object:?} {owner:?}");
        }
    }

    #[test]
    fn what_to_write_is_said() {
        let has = branch("acme-dev", "1", json!({"tenantName": "acme", "branchName": "dev"}));
        let fault = fault_of(named("dev"), Some(&has), Some("1"));
        assert!(fault.reason == Reason::SourceNotFound && fault.message.contains("branchObject: acme-dev"));
        // Another object that only waits for the name is nobody's advice.
        assert!(!fault_of(named("dev"), Some(&has), Some("2")).message.contains("branchObject"));
        let own = branch("dev", "1", json!({"tenantName": "acme"}));
        assert_eq!(fault_of(named("dev"), Some(&own), None).reason, Reason::SourceNotReady);
        assert_eq!(fault_of(named("dev"), None, None).reason, Reason::SourceNotFound);
    }
}
