//! The purpose of a runtime pod: written into its labels and annotations, and read from them.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use roost_crds::{StorageLocation, names as crd};
use roost_protocol::BranchKey;

use super::names;
use crate::slots::Taken;

/// Annotation with the slot that the pod occupies: Lease and token.
pub(super) const SLOT_ANNOTATION: &str = "roostdb.dev/slot";

/// A branch of one very Tenant object: another one of its name has another UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantBranch {
    /// Its names.
    pub key: BranchKey,
    /// UID of the Tenant.
    pub tenant_uid: String,
}

impl TenantBranch {
    /// A branch of the tenant whose data lies there.
    pub fn at(location: &StorageLocation, branch: &str) -> Self {
        let key = BranchKey {
            namespace: location.namespace.clone(),
            tenant: location.tenant.clone(),
            branch: branch.to_owned(),
        };
        Self { key, tenant_uid: location.tenant_uid.clone() }
    }
}

/// The purpose of a pod that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Serves the branch.
    Serve(TenantBranch),
    /// Takes a Parquet snapshot of the branch.
    TakeSnapshot {
        /// The branch.
        of: TenantBranch,
        /// Name of the Snapshot.
        snapshot: String,
    },
    /// Checks how far the branch's WAL can be replayed, for a person who waits for its last words.
    CheckReplay(TenantBranch),
}

impl Purpose {
    /// Reads it from a Pod.
    pub(super) fn of(pod: &Pod) -> Self {
        let label = |name: &str| pod.labels().get(name).cloned().unwrap_or_default();
        let annotation = |name: &str| pod.annotations().get(name).cloned();
        let of = TenantBranch {
            key: BranchKey {
                namespace: annotation(crd::NAMESPACE_ANNOTATION).unwrap_or_default(),
                tenant: annotation(crd::TENANT_ANNOTATION).unwrap_or_default(),
                branch: label(crd::BRANCH_LABEL),
            },
            tenant_uid: label(crd::TENANT_UID_LABEL),
        };
        match (annotation(crd::REPLAY_CHECK_ANNOTATION), annotation(crd::SNAPSHOT_ANNOTATION)) {
            (Some(_), _) => Self::CheckReplay(of),
            (None, Some(snapshot)) => Self::TakeSnapshot { of, snapshot },
            (None, None) => Self::Serve(of),
        }
    }

    /// The branch whose data the pod works on.
    pub fn branch(&self) -> &TenantBranch {
        match self {
            Self::Serve(of) | Self::TakeSnapshot { of, .. } | Self::CheckReplay(of) => of,
        }
    }
}

/// The task that a pod is made for, with what only its maker knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodTask {
    /// Serves the branch.
    Serve {
        /// The slot it occupies.
        slot: Taken,
    },
    /// Takes a Parquet snapshot.
    TakeSnapshot {
        /// Name of the Snapshot.
        snapshot: String,
        /// UID of the Snapshot.
        snapshot_uid: String,
    },
    /// Checks how far the branch's WAL can be replayed.
    CheckReplay,
}

/// A pod to be made: the branch whose data it works on, and its task.
#[derive(Clone, Debug)]
pub struct PodOf {
    /// The branch.
    pub branch: TenantBranch,
    /// The task.
    pub task: PodTask,
}

impl PodOf {
    /// Name of the pod.
    pub fn name(&self) -> String {
        let TenantBranch { key, tenant_uid } = &self.branch;
        match &self.task {
            PodTask::Serve { .. } => names::serving_pod(tenant_uid, &key.branch),
            PodTask::TakeSnapshot { snapshot_uid, .. } => names::worker_pod(snapshot_uid),
            PodTask::CheckReplay => names::replay_check_pod(tenant_uid, &key.branch),
        }
    }

    /// Labels by which it is found.
    pub(super) fn labels(&self) -> Vec<(&'static str, String)> {
        let TenantBranch { key, tenant_uid } = &self.branch;
        let role = match &self.task {
            PodTask::Serve { .. } => crd::ROLE_SERVE,
            PodTask::TakeSnapshot { .. } | PodTask::CheckReplay => crd::ROLE_WORKER,
        };
        let mut labels = vec![
            (crd::TENANT_UID_LABEL, tenant_uid.clone()),
            (crd::ROLE_LABEL, role.to_owned()),
            (crd::BRANCH_LABEL, key.branch.clone()),
        ];
        if let PodTask::TakeSnapshot { snapshot_uid, .. } = &self.task {
            labels.push((crd::SNAPSHOT_UID_LABEL, snapshot_uid.clone()));
        }
        labels
    }

    /// Annotations with what is no label.
    pub(super) fn annotations(&self) -> Vec<(&'static str, String)> {
        let own = match &self.task {
            PodTask::Serve { slot } => (SLOT_ANNOTATION, slot.to_string()),
            PodTask::TakeSnapshot { snapshot, .. } => (crd::SNAPSHOT_ANNOTATION, snapshot.clone()),
            PodTask::CheckReplay => (crd::REPLAY_CHECK_ANNOTATION, "true".to_owned()),
        };
        let key = &self.branch.key;
        vec![
            (crd::NAMESPACE_ANNOTATION, key.namespace.clone()),
            (crd::TENANT_ANNOTATION, key.tenant.clone()),
            own,
        ]
    }
}
