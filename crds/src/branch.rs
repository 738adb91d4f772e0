//! Branch: a second line of history of a tenant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::Duration;
use crate::schema;
use crate::shared::{
    DeletionPolicy, Endpoint, OperatingMode, PositionSummary, ServingState, StorageLocation,
};

/// Desired state of a Branch, as its author writes it.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "roostdb.dev",
    version = "v1alpha1",
    kind = "Branch",
    plural = "branches",
    namespaced,
    status = "BranchStatus",
    derive = "PartialEq",
    shortname = "rbr",
    category = "roost",
    doc = "A branch of a tenant's database: instant, copies nothing, and can be written without touching its origin.",
    selectable = ".spec.className",
    selectable = ".spec.tenantName",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantName"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Available", type_ = "string", json_path = ".status.conditions[?(@.type==\"Available\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Branch", type_ = "string", json_path = ".status.branchName", priority = 1),
    printcolumn(name = "Size", type_ = "integer", json_path = ".status.databaseSize", priority = 1),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expirationTime", priority = 1),
    printcolumn(name = "Active", type_ = "date", json_path = ".status.lastActiveTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("has(self.spec.branchName) || (self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.metadata.name.size() <= 40)")
        .message("the Branch's name is also its branchName, which is a DNS label of at most 40 characters: shorten the name or set spec.branchName"),
    validation = Rule::new("has(self.spec.branchName) || self.metadata.name != 'main'")
        .message("main is the branch that every tenant has: name the Branch otherwise, or set spec.branchName"),
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("a Branch's name has at most 63 characters: shorten it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.tenantName == oldSelf.tenantName")
        .message("tenantName is immutable: create another Branch for the other tenant")
        .field_path(".tenantName"),
    validation = Rule::new("has(self.branchName) == has(oldSelf.branchName) && (!has(self.branchName) || self.branchName == oldSelf.branchName)")
        .message("branchName is immutable: create another Branch with the name you want")
        .field_path(".branchName"),
    validation = Rule::new("has(self.from) == has(oldSelf.from) && (!has(self.from) || self.from == oldSelf.from)")
        .message("from is immutable, it says where the branch began: create another Branch from the origin you want")
        .field_path(".from")
)]
pub struct BranchSpec {
    /// Tenant of the same namespace. Immutable.
    #[schemars(length(min = 1, max = 40), regex(pattern = schema::DNS_LABEL))]
    pub tenant_name: String,
    /// Name of the branch within the tenant; the object's name if absent. Immutable, and not main.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = schema::DNS_LABEL))]
    #[x_kube(
        validation = Rule::new("self != 'main'")
            .message("main is the branch that every tenant has: choose another branchName")
    )]
    pub branch_name: Option<String>,
    /// Where the branch begins; the end of main if absent. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<BranchOrigin>,
    /// TenantClass of its pods, with the tenant's bucket and prefix; the tenant's class if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::DNS_SUBDOMAIN))]
    pub class_name: Option<String>,
    /// Time after its creation at which the object is deleted; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Running (default), or Suspended: connections are refused and nothing wakes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operating_mode: Option<OperatingMode>,
    /// Retain (default) leaves the branch in the bucket when the object is deleted; Delete deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// Where a branch begins: in another branch, at its end or at a moment, or in a snapshot.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.snapshotName) != (has(self.branchName) || has(self.time))")
        .message("from names one origin: write either snapshotName, or branchName, time or both"),
    validation = Rule::new("!has(self.branchObject) || (has(self.branchName) && self.branchName != 'main')")
        .message("branchObject is the Branch object of a branch other than main: write branchName too, or leave branchObject out")
        .field_path(".branchObject")
)]
pub struct BranchOrigin {
    /// This branch of the tenant: its end when the Branch is made, unless there is a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = schema::DNS_LABEL))]
    pub branch_name: Option<String>,
    /// Name of the Branch object of that branch; branchName if absent. Rights on a branch are rights on this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::DNS_SUBDOMAIN))]
    pub branch_object: Option<String>,
    /// The branch (main if none is named) as it was right after its last commit at or before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub time: Option<Time>,
    /// A Snapshot of the same namespace and tenant, of format Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::DNS_LABEL))]
    pub snapshot_name: Option<String>,
}

/// Observed state of a Branch: what the operator found and did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BranchStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count")]
    pub observed_generation: Option<i64>,
    /// Ready, Available, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Where it is in its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ServingState>,
    /// Name of the branch within the tenant, resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub branch_name: Option<String>,
    /// The class it was resolved to; it sticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub class_name: Option<String>,
    /// Where clients connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Bytes of the database's file at its last publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count")]
    pub database_size: Option<u64>,
    /// When it last had work; coarse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_active_time: Option<Time>,
    /// Last published position of the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionSummary>,
    /// Position at which it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<PositionSummary>,
    /// Age of the oldest commit that a crash would lose, at the last report while serving; absent below a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable_lag: Option<Duration>,
    /// The oldest moment that it can be recovered at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub recoverable_from: Option<Time>,
    /// Why the last wake failed or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_failure: Option<crate::WakeFailure>,
    /// When ttl ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub expiration_time: Option<Time>,
    /// Whether the branch in the bucket names this object: only an object of this name finds it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_recorded: Option<bool>,
    /// Where its data is and whose it is; enough to delete it without the Tenant or its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<StorageLocation>,
}
