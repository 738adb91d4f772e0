//! Snapshot: a tenant's data at one moment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;
use crate::schema;
use crate::shared::{DeletionPolicy, PositionSummary, SnapshotFormat, StorageLocation};

/// Desired state of a Snapshot, as its author writes it. Immutable but for ttl.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "roostdb.dev",
    version = "v1alpha1",
    kind = "Snapshot",
    namespaced,
    status = "SnapshotStatus",
    derive = "PartialEq",
    shortname = "rsnap",
    category = "roost",
    doc = "A tenant's data at one moment, as Parquet files or as a pinned position.",
    selectable = ".spec.tenantName",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantName"),
    printcolumn(name = "Format", type_ = "string", json_path = ".status.format"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Size", type_ = "integer", json_path = ".status.size"),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rowCount", priority = 1),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.completionTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.metadata.name.size() <= 63")
        .message("a Snapshot's name is a DNS label of at most 63 characters: lower-case letters, digits and hyphens, such as acme-2026-11-20")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.tenantName == oldSelf.tenantName && has(self.branchName) == has(oldSelf.branchName) && (!has(self.branchName) || self.branchName == oldSelf.branchName) && has(self.branchObject) == has(oldSelf.branchObject) && (!has(self.branchObject) || self.branchObject == oldSelf.branchObject) && has(self.format) == has(oldSelf.format) && (!has(self.format) || self.format == oldSelf.format) && has(self.time) == has(oldSelf.time) && (!has(self.time) || self.time == oldSelf.time) && has(self.deletionPolicy) == has(oldSelf.deletionPolicy) && (!has(self.deletionPolicy) || self.deletionPolicy == oldSelf.deletionPolicy)")
        .message("a Snapshot is immutable but for ttl: create another Snapshot with the fields you want"),
    validation = Rule::new("!has(self.branchObject) || (has(self.branchName) && self.branchName != 'main')")
        .message("branchObject is the Branch object of a branch other than main: write branchName too, or leave branchObject out")
        .field_path(".branchObject")
)]
pub struct SnapshotSpec {
    /// Tenant of the same namespace.
    #[schemars(length(min = 1, max = 40), regex(pattern = schema::DNS_LABEL))]
    pub tenant_name: String,
    /// Branch of the tenant; main if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = schema::DNS_LABEL))]
    pub branch_name: Option<String>,
    /// Name of the Branch object of that branch; branchName if absent. Rights on a branch are rights on this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::DNS_SUBDOMAIN))]
    pub branch_object: Option<String>,
    /// Parquet (default): files anyone can read. Native: a pinned position, instant, to restore and branch from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SnapshotFormat>,
    /// The branch as it was right after its last commit at or before this moment; as it is when the snapshot is taken if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub time: Option<Time>,
    /// Time after its completion, or after its creation if that is later, at which the object is deleted; never if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Retain (default) leaves the data in the bucket when the object is deleted; Delete deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// Where a snapshot is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SnapshotState {
    /// Waits for what it needs.
    Pending,
    /// Being taken.
    Running,
    /// Complete and readable.
    Succeeded,
    /// Gave up; conditions say why.
    Failed,
    /// Being deleted.
    Deleting,
}

/// One table in a snapshot.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSize {
    /// Schema of the table, cut to 128 characters.
    #[schemars(length(max = 128))]
    pub schema: String,
    /// Name of the table, cut to 128 characters.
    #[schemars(length(max = 128))]
    pub name: String,
    /// Rows.
    #[schemars(schema_with = "schema::count")]
    pub rows: u64,
    /// Bytes of its files.
    #[schemars(schema_with = "schema::count")]
    pub size: u64,
}

/// Observed state of a Snapshot: what the operator found and did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Where it is in its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SnapshotState>,
    /// Its form, resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SnapshotFormat>,
    /// Where its data is and whose it is; enough to delete it without the Tenant or its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<StorageLocation>,
    /// The moment it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionSummary>,
    /// Bytes of its files (Parquet), or of the database's file (Native).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count")]
    pub size: Option<u64>,
    /// Number of tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count")]
    pub table_count: Option<u64>,
    /// Rows of all tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count")]
    pub row_count: Option<u64>,
    /// The 20 largest tables; metadata.json lists all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub largest_tables: Vec<TableSize>,
    /// When work on it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub start_time: Option<Time>,
    /// When it was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub completion_time: Option<Time>,
    /// When ttl ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub expiration_time: Option<Time>,
    /// Version of DuckDB that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub engine_version: Option<String>,
    /// Number of times that it was tried; bounded by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count")]
    pub attempts: Option<u32>,
}
