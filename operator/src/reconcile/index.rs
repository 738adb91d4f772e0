//! Records of what the watches saw, folded small. Reconcilers read objects themselves; this only says who is
//! concerned by a change, and which classes there are.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, RwLock},
};

use roost_crds::{SnapshotSummary, TenantClass};

use super::queue::Key;
use crate::pods::PodView;

/// A Tenant.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TenantRecord {
    /// UID.
    pub uid: String,
    /// Class by spec or status.
    pub class: Option<String>,
    /// Whether anything was ever published: then it can be copied.
    pub published: bool,
    /// Snapshot that it starts from, while it is not made.
    pub awaits_snapshot: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// Epoch and manifest of its last publish.
    pub at: Option<(u64, u64)>,
    /// Whether its status says since when it can be recovered.
    pub recoverable: bool,
}

/// A Branch.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BranchRecord {
    /// Its Tenant.
    pub tenant: String,
    /// Name within the tenant.
    pub branch: String,
    /// Snapshot that it starts from.
    pub from_snapshot: Option<String>,
    /// Class by spec or status.
    pub class: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// Epoch and manifest of its last publish.
    pub at: Option<(u64, u64)>,
}

/// A Snapshot.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SnapshotRecord {
    /// Its Tenant.
    pub tenant: String,
    /// Once it is complete.
    pub summary: Option<SnapshotSummary>,
}

/// All records.
#[derive(Debug, Default)]
pub struct Records {
    /// Tenants.
    pub tenants: HashMap<Key, TenantRecord>,
    /// Branches.
    pub branches: HashMap<Key, BranchRecord>,
    /// Snapshots.
    pub snapshots: HashMap<Key, SnapshotRecord>,
    /// Classes, whole: there are few.
    pub classes: BTreeMap<String, Arc<TenantClass>>,
    /// Namespaces, each by a hash of its labels: a changed one is looked up.
    pub namespaces: HashMap<String, u64>,
    /// Runtime pods: as many as are active.
    pub pods: HashMap<String, PodView>,
    /// Kinds whose first list was complete.
    pub synced: HashSet<&'static str>,
}

/// The records, shared.
#[derive(Debug, Default)]
pub struct Index(RwLock<Records>);

/// Number of watches whose first list has to be complete.
const KINDS: usize = 6;

impl Index {
    /// Reads.
    pub fn read<T>(&self, look: impl FnOnce(&Records) -> T) -> T {
        look(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Changes.
    pub fn write<T>(&self, change: impl FnOnce(&mut Records) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Whether every first list was complete.
    pub fn synced(&self) -> bool {
        self.read(|records| records.synced.len() >= KINDS)
    }

    /// All classes.
    pub fn classes(&self) -> Vec<Arc<TenantClass>> {
        self.read(|records| records.classes.values().cloned().collect())
    }

    /// Counts the Tenants and Branches that use a class.
    pub fn users_of(&self, class: &str) -> usize {
        self.read(|records| {
            let tenants = records.tenants.values().filter(|t| t.class.as_deref() == Some(class)).count();
            tenants + records.branches.values().filter(|b| b.class.as_deref() == Some(class)).count()
        })
    }

    /// The latest snapshots of a tenant, newest first.
    pub fn latest_snapshots(&self, tenant: &Key, count: usize) -> Vec<SnapshotSummary> {
        let mut all: Vec<_> = self.read(|records| {
            let of_tenant = |(key, record): &(&Key, &SnapshotRecord)| {
                key.namespace == tenant.namespace && record.tenant == tenant.name
            };
            records
                .snapshots
                .iter()
                .filter(of_tenant)
                .filter_map(|(_, record)| record.summary.clone())
                .collect()
        });
        all.sort_by(|a, b| b.completion_time.cmp(&a.completion_time).then_with(|| a.name.cmp(&b.name)));
        all.truncate(count);
        all
    }
}

impl Records {
    /// Branches and Snapshots of a tenant.
    pub fn children(&self, tenant: &Key) -> (Vec<Key>, Vec<Key>) {
        let here = |key: &Key| key.namespace == tenant.namespace;
        let branches = self.branches.iter().filter(|(key, record)| here(key) && record.tenant == tenant.name);
        let snapshots =
            self.snapshots.iter().filter(|(key, record)| here(key) && record.tenant == tenant.name);
        (branches.map(|(key, _)| key.clone()).collect(), snapshots.map(|(key, _)| key.clone()).collect())
    }
}
