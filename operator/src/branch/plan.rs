//! The actions for a Branch: a pure function of what was observed.

use jiff::Timestamp;
use roost_crds::{DeletionPolicy, OperatingMode, names::BRANCH_FINALIZER};

use super::observe::{Observed, Origin, Owner};
use crate::{kubernetes::has_finalizer, pods::PodView, reconcile::expiry};

/// Proof that the branch has no pod: erasing asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPod(());

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Adds or removes the finalizer.
    Finalizer(bool),
    /// Deletes the object: its ttl is over.
    Expire,
    /// Publishes the source if it serves, then creates the branch.
    Create(Origin),
    /// Has the branch name this object, which an earlier release did not.
    RecordObject,
    /// Makes its pod leave.
    Drain(Box<PodView>),
    /// Deletes the branch's data, then lets the object go.
    Erase(NoPod),
}

/// Plans.
pub fn plan(observed: &Observed, now: Timestamp) -> Vec<Action> {
    let branch = &observed.branch;
    if branch.metadata.deletion_timestamp.is_some() {
        if !has_finalizer(branch, BRANCH_FINALIZER) {
            return Vec::new();
        }
        return vec![match &observed.serving.pod {
            None => Action::Erase(NoPod(())),
            Some(pod) => Action::Drain(Box::new(pod.clone())),
        }];
    }
    let end = expiry::expiration(branch.metadata.creation_timestamp.as_ref(), branch.spec.ttl.as_ref());
    if expiry::is_over(end.as_ref(), now) {
        return vec![Action::Expire];
    }
    let wants_finalizer = branch.spec.deletion_policy() == DeletionPolicy::Delete;
    if has_finalizer(branch, BRANCH_FINALIZER) != wants_finalizer {
        return vec![Action::Finalizer(wants_finalizer)];
    }
    let mut actions = Vec::new();
    let may_create = !observed.made() && observed.class.class.is_some() && observed.location.is_some();
    if may_create
        && matches!(observed.owner, Owner::Ready(_))
        && !matches!(observed.origin, Origin::Awaited(_))
    {
        actions.push(Action::Create(observed.origin.clone()));
    }
    let recorded = branch.status.as_ref().is_some_and(|status| status.object_recorded == Some(true));
    // A pod would lose a race with it, and one of an earlier release would forget the name again.
    if observed.made()
        && !recorded
        && observed.serving.pod.is_none()
        && matches!(observed.owner, Owner::Ready(_))
    {
        actions.push(Action::RecordObject);
    }
    if observed.mode() == OperatingMode::Suspended
        && let Some(pod) = observed.serving.pod.as_ref().filter(|pod| !pod.leaving && !pod.finished())
    {
        actions.push(Action::Drain(Box::new(pod.clone())));
    }
    actions
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        class::resolve::Resolved,
        pods::{Purpose, Serving, samples},
        reasons::Fault,
    };
    use roost_crds::{Branch, PositionSummary, Reason, Tenant};
    use serde_json::json;
    use std::sync::Arc;

    pub fn pod() -> PodView {
        PodView { purpose: Purpose::Serve(samples::branch("dev")), ..samples::pod() }
    }

    pub fn observed(spec: serde_json::Value, metadata: serde_json::Value, made: bool) -> Observed {
        let mut whole = json!({"name": "dev", "namespace": "shop", "uid": "branch-uid", "generation": 1,
            "creationTimestamp": "2026-11-20T10:00:00Z"});
        whole.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let mut fields = json!({"tenantName": "acme"});
        fields.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let kind = |kind: &str, metadata: serde_json::Value, spec: serde_json::Value| json!({"apiVersion": "roostdb.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        let storage = json!({"storage": {"bucket": "tenants", "credentials": {"secretRef": {"name": "s"}}}});
        let class =
            serde_json::from_value(kind("TenantClass", json!({"name": "standard"}), storage)).unwrap();
        let mut branch: Branch = serde_json::from_value(kind("Branch", whole, fields)).unwrap();
        if made {
            let position = Some(PositionSummary { branch: "dev".into(), ..PositionSummary::default() });
            branch.status = Some(roost_crds::BranchStatus {
                position,
                object_recorded: Some(true),
                ..Default::default()
            });
        }
        let tenant: Tenant =
            serde_json::from_value(kind("Tenant", json!({"name": "acme", "namespace": "shop"}), json!({})))
                .unwrap();
        Observed {
            branch,
            owner: Owner::Ready(Box::new(tenant)),
            class: Resolved { class: Some(Arc::new(class)), fault: None },
            origin: Origin::Branch("main".into()),
            location: Some(roost_crds::StorageLocation::default()),
            serving: Serving::default(),
            bad_end: None,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_life_of_a_branch() {
        let now = at("2026-11-20T10:00:01Z");
        let plan = |observed: &Observed| super::plan(observed, now);
        assert_eq!(
            plan(&observed(json!({}), json!({}), false)),
            [Action::Create(Origin::Branch("main".into()))]
        );
        assert_eq!(plan(&observed(json!({}), json!({}), true)), []);
        let deletes = json!({"deletionPolicy": "Delete"});
        assert_eq!(plan(&observed(deletes.clone(), json!({}), false)), [Action::Finalizer(true)]);
        let going = json!({"deletionTimestamp": "2026-11-20T10:00:00Z", "finalizers": [BRANCH_FINALIZER]});
        let mut going = observed(deletes, going, true);
        going.serving.pod = Some(pod());
        assert_eq!(plan(&going), [Action::Drain(Box::new(pod()))]);
        going.serving.pod = None;
        assert_eq!(plan(&going), [Action::Erase(NoPod(()))]);
    }

    #[test]
    fn nothing_is_created_without_tenant_class_and_source() {
        let now = at("2026-11-20T10:00:01Z");
        let fault = || Fault::new(Reason::TenantNotFound, "waits");
        let without: [&dyn Fn(&mut Observed); 3] =
            [&|seen| seen.owner = Owner::Lacking(fault()), &|seen| seen.class.class = None, &|seen| {
                seen.origin = Origin::Awaited(fault());
            }];
        for change in without {
            let mut seen = observed(json!({}), json!({}), false);
            change(&mut seen);
            assert_eq!(plan(&seen, now), []);
        }
    }

    #[test]
    fn what_an_earlier_release_made_learns_the_name_of_its_object_once_no_pod_serves_it() {
        let now = at("2026-11-20T10:00:01Z");
        let mut seen = observed(json!({}), json!({}), true);
        seen.branch.status.as_mut().unwrap().object_recorded = None;
        assert_eq!(plan(&seen, now), [Action::RecordObject]);
        seen.serving.pod = Some(pod());
        assert_eq!(plan(&seen, now), []);
    }

    #[test]
    fn ttl_counts_from_creation() {
        let seen = observed(json!({"ttl": "1h"}), json!({}), true);
        assert_eq!(plan(&seen, at("2026-11-20T10:59:59Z")), []);
        assert_eq!(plan(&seen, at("2026-11-20T11:00:00Z")), [Action::Expire]);
    }

    #[test]
    fn a_script_of_its_tenant_is_awaited() {
        let mut seen = observed(json!({}), json!({}), false);
        assert!(!seen.awaits_script(), "an empty tenant can be branched");
        if let Owner::Ready(tenant) = &mut seen.owner {
            let script = json!({"initScript": {"sql": "create table t (i int)"}});
            tenant.spec.source = Some(serde_json::from_value(script).unwrap());
        }
        assert!(seen.awaits_script());
    }

    #[test]
    fn a_suspended_tenant_suspends_its_branches() {
        let mut seen = observed(json!({}), json!({}), true);
        seen.serving.pod = Some(pod());
        if let Owner::Ready(tenant) = &mut seen.owner {
            tenant.spec.operating_mode = Some(OperatingMode::Suspended);
        }
        assert_eq!(plan(&seen, at("2026-11-20T10:00:01Z")), [Action::Drain(Box::new(pod()))]);
    }
}
