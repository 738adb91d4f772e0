//! The actions for a Tenant: a pure function of what was observed.

use roost_crds::{DeletionPolicy, OperatingMode, names::TENANT_FINALIZER};
use roost_store::{Adoption, CopySource, Creation};

use super::observe::{Observed, Source};
use crate::{kubernetes::has_finalizer, pods::PodView};

/// Proof that a tenant has no pod: erasing asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPods(());

impl NoPods {
    fn of(pods: &[PodView]) -> Option<Self> {
        pods.is_empty().then_some(Self(()))
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Adds or removes the finalizer; nothing else happens before the new version is seen.
    Finalizer(bool),
    /// Finds or makes the data.
    Initialize(Creation, Adoption),
    /// Finds the data that was kept, without its source.
    Reattach(Adoption),
    /// Fills the new tenant from another one.
    Restore {
        /// The other one.
        tenant: String,
        /// The part of it.
        what: CopySource,
        /// Whom data may be taken over from.
        adoption: Adoption,
    },
    /// Has another key of the class wrap the tenant's data key.
    Rewrap,
    /// Makes pods leave.
    Drain(Vec<PodView>),
    /// Deletes every object, then lets the Tenant go.
    Erase(NoPods),
}

/// Plans.
pub fn plan(observed: &Observed) -> Vec<Action> {
    if observed.tenant.metadata.deletion_timestamp.is_some() {
        return delete(observed);
    }
    let wants_finalizer = observed.tenant.spec.deletion_policy() == DeletionPolicy::Delete;
    if has_finalizer(&observed.tenant, TENANT_FINALIZER) != wants_finalizer {
        return vec![Action::Finalizer(wants_finalizer)];
    }
    let mut actions = Vec::new();
    if observed.made() && wraps_otherwise(observed) {
        actions.push(Action::Rewrap);
    }
    if let Some(class) = observed.class.class.as_ref().filter(|_| !observed.made()) {
        let adoption = adoption(observed, class);
        match &observed.source {
            Source::Empty => actions.push(Action::Initialize(creation(observed), adoption)),
            Source::Copy { tenant, what } => {
                actions.push(Action::Restore { tenant: tenant.clone(), what: what.clone(), adoption });
            }
            Source::Awaited(_) if observed.kept => actions.push(Action::Reattach(adoption)),
            Source::Awaited(_) => {}
        }
    }
    if observed.tenant.spec.operating_mode() == OperatingMode::Suspended {
        let staying: Vec<_> =
            observed.pods.iter().filter(|pod| !pod.leaving && !pod.finished()).cloned().collect();
        if !staying.is_empty() {
            actions.push(Action::Drain(staying));
        }
    }
    actions
}

/// Whether the class names another key than the one that wraps the tenant's data key.
fn wraps_otherwise(observed: &Observed) -> bool {
    let status = observed.tenant.status.as_ref().and_then(|status| status.encryption_key.as_ref());
    let class = observed.class.class.as_ref().and_then(|class| class.spec.encryption.as_ref());
    status.zip(class).is_some_and(|(wrapped_by, encryption)| *wrapped_by != encryption.key_name)
}

fn delete(observed: &Observed) -> Vec<Action> {
    if !has_finalizer(&observed.tenant, TENANT_FINALIZER) {
        return Vec::new();
    }
    match NoPods::of(&observed.pods) {
        Some(proof) => vec![Action::Erase(proof)],
        None => vec![Action::Drain(observed.pods.clone())],
    }
}

/// A position in status proves that there was data; then nothing is made where none is found.
fn creation(observed: &Observed) -> Creation {
    let known = observed.tenant.status.as_ref().is_some_and(|status| status.position.is_some());
    if known { Creation::KnownTenant } else { Creation::NewTenant }
}

fn adoption(observed: &Observed, class: &roost_crds::TenantClass) -> Adoption {
    let from = observed.tenant.spec.adopt.as_ref();
    let clusters = class.spec.storage.adopt_from.iter().flatten().map(|cluster| cluster.0.clone()).collect();
    Adoption { from: from.map(|from| (from.cluster_id.clone(), from.namespace_uid.clone())), clusters }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        class::resolve::Resolved,
        pods::{Purpose, Serving, TenantBranch, samples},
        reasons::Fault,
    };
    use roost_crds::{Reason, Tenant};
    use roost_protocol::grant::TenantIdentity;
    use serde_json::json;
    use std::sync::Arc;

    pub fn pod(branch: &str) -> PodView {
        let of = TenantBranch { tenant_uid: "tenant-uid".into(), ..samples::branch(branch) };
        PodView { name: format!("rt-{branch}"), purpose: Purpose::Serve(of), ..samples::pod() }
    }

    pub fn observed(spec: serde_json::Value, metadata: serde_json::Value, made: bool) -> Observed {
        let mut whole = json!({"name": "acme", "namespace": "shop", "uid": "tenant-uid", "generation": 3});
        whole.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let class = json!({
            "apiVersion": "roostdb.dev/v1alpha1", "kind": "TenantClass", "metadata": {"name": "standard"},
            "spec": {"storage": {"bucket": "tenants", "prefix": "prod", "credentials": {"secretRef": {"name": "s"}}}},
        });
        let class: roost_crds::TenantClass = serde_json::from_value(class).unwrap();
        let identity = TenantIdentity {
            namespace: "shop".into(),
            name: "acme".into(),
            cluster_id: "cluster".into(),
            namespace_uid: "namespace-uid".into(),
            tenant_uid: "tenant-uid".into(),
        };
        let mut tenant: Tenant = serde_json::from_value(json!({
            "apiVersion": "roostdb.dev/v1alpha1", "kind": "Tenant", "metadata": whole, "spec": spec,
        }))
        .unwrap();
        if made {
            tenant.status = Some(roost_crds::TenantStatus {
                class_name: Some("standard".into()),
                position: Some(roost_crds::PositionSummary { branch: "main".into(), ..Default::default() }),
                location: Some(crate::storage::location::locate(&class, &identity, "")),
                ..Default::default()
            });
        }
        Observed {
            tenant,
            class: Resolved { class: Some(Arc::new(class)), fault: None },
            identity,
            source: Source::Empty,
            origin: roost_store::DataSource::Empty,
            kept: false,
            script: None,
            pods: Vec::new(),
            serving: Serving::default(),
            bad_end: None,
            snapshots: Vec::new(),
        }
    }

    fn deleting() -> serde_json::Value {
        json!({"deletionTimestamp": "2026-11-20T00:00:00Z", "finalizers": [TENANT_FINALIZER]})
    }

    #[test]
    fn the_life_of_a_tenant() {
        let new = observed(json!({}), json!({}), false);
        assert_eq!(plan(&new), [Action::Initialize(Creation::NewTenant, Adoption::default())]);
        let settled = observed(json!({}), json!({}), true);
        assert_eq!(plan(&settled), []);
        let mut suspended = observed(json!({"operatingMode": "Suspended"}), json!({}), true);
        assert_eq!(plan(&suspended), []);
        suspended.pods = vec![pod("main"), PodView { leaving: true, ..pod("dev") }];
        assert_eq!(plan(&suspended), [Action::Drain(vec![pod("main")])]);
    }

    #[test]
    fn a_position_without_data_never_makes_an_empty_database() {
        let mut known = observed(json!({}), json!({}), true);
        known.tenant.status.as_mut().unwrap().location = None;
        assert_eq!(plan(&known), [Action::Initialize(Creation::KnownTenant, Adoption::default())]);
    }

    #[test]
    fn finalizers_follow_the_policy() {
        let wants = observed(json!({"deletionPolicy": "Delete"}), json!({}), true);
        assert_eq!(plan(&wants), [Action::Finalizer(true)]);
        let no_longer = observed(json!({}), json!({"finalizers": [TENANT_FINALIZER]}), true);
        assert_eq!(plan(&no_longer), [Action::Finalizer(false)]);
    }

    #[test]
    fn deletion_drains_every_branch_before_it_erases() {
        let mut going = observed(json!({"deletionPolicy": "Delete"}), deleting(), true);
        going.pods = vec![pod("main"), pod("dev")];
        assert_eq!(plan(&going), [Action::Drain(going.pods.clone())]);
        going.pods.clear();
        assert_eq!(plan(&going), [Action::Erase(NoPods(()))]);
        let other = observed(
            json!({}),
            json!({"deletionTimestamp": "2026-11-20T00:00:00Z", "finalizers": ["x/y"]}),
            true,
        );
        assert_eq!(plan(&other), []);
    }

    #[test]
    fn sources_and_missing_classes_are_waited_for() {
        let mut waits = observed(json!({"source": {"snapshot": {"name": "s"}}}), json!({}), false);
        waits.source = Source::Awaited(Fault::new(Reason::SourceNotFound, "waits"));
        assert_eq!(plan(&waits), []);
        waits.kept = true;
        assert_eq!(plan(&waits), [Action::Reattach(Adoption::default())], "the source is not needed again");
        let what = CopySource::Snapshot("s".into());
        waits.source = Source::Copy { tenant: "old".into(), what };
        assert!(matches!(plan(&waits).as_slice(), [Action::Restore { tenant, .. }] if tenant == "old"));
        waits.class.class = None;
        assert_eq!(plan(&waits), []);
    }
}
