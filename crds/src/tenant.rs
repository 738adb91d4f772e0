//! Tenant: one database.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::Duration;
use crate::schema;
use crate::shared::{
    DeletionPolicy, Durability, Endpoint, OperatingMode, PositionSummary, ServingState, SnapshotSummary,
};

/// Desired state of a Tenant, as its author writes it. All optional: `spec: {}` is a working tenant.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "roostdb.dev",
    version = "v1alpha1",
    kind = "Tenant",
    namespaced,
    status = "TenantStatus",
    derive = "PartialEq",
    shortname = "rten",
    category = "roost",
    doc = "One DuckDB database, kept in object storage and woken by its first query.",
    selectable = ".spec.className",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Available", type_ = "string", json_path = ".status.conditions[?(@.type==\"Available\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Class", type_ = "string", json_path = ".status.className"),
    printcolumn(name = "Size", type_ = "integer", json_path = ".status.databaseSize", priority = 1),
    printcolumn(name = "Active", type_ = "date", json_path = ".status.lastActiveTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.metadata.name.size() <= 40")
        .message("a Tenant's name is a DNS label of at most 40 characters: lower-case letters, digits and hyphens, such as acme-eu"),
    validation = Rule::new("oldSelf.hasValue() || !(self.metadata.name in ['main', 'memory', 'system', 'temp'])")
        .message("DuckDB keeps the names main, memory, system and temp for itself, and a Tenant's name is that of its database: name the Tenant otherwise, such as acme-main")
        .optional_old_self(true),
    validation = Rule::new("!has(self.spec) || !has(self.spec.source) || !has(self.spec.source.pointInTime) || self.spec.source.pointInTime.tenantName != self.metadata.name")
        .message("a Tenant cannot start from itself: to go back, create a Branch with from.time, or another Tenant")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.source) == has(oldSelf.source) && (!has(self.source) || self.source == oldSelf.source)")
        .message("source is immutable, it says what the database was made from: create another Tenant with the source you want")
        .field_path(".source")
)]
pub struct TenantSpec {
    /// TenantClass; the default class if absent. A change is accepted only between classes of the same bucket and
    /// prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::DNS_SUBDOMAIN))]
    pub class_name: Option<String>,
    /// Running (default), or Suspended: connections are refused and nothing wakes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operating_mode: Option<OperatingMode>,
    /// Time without work after which it is sealed and its pod removed; within the class's bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// Guarantee that answers wait for: the class's if absent. Where it is less than the class's, the class's holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// Source that the database starts from; an empty database if absent. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<TenantSource>,
    /// Takes over data that another owner wrote, and names whom it takes it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adoption>,
    /// Retain (default) leaves the data in the bucket when the Tenant is deleted; Delete deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// Source that a database starts from: exactly one member.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.snapshot), has(self.pointInTime), has(self.initScript)].filter(given, given).size() == 1")
        .message("source has exactly one member: write snapshot, pointInTime or initScript")
)]
pub struct TenantSource {
    /// A Snapshot object of this namespace, of format Native.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<ObjectName>,
    /// A past moment of another tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_in_time: Option<PointInTime>,
    /// SQL that runs in the first wake, in one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_script: Option<InitScript>,
}

/// The branch main of another tenant of the same namespace and bucket as it was right after its last commit at or before
/// a moment, within its class's recoveryWindow. Its Tenant object need not exist any more.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PointInTime {
    /// The other tenant.
    #[schemars(length(min = 1, max = 40), regex(pattern = schema::DNS_LABEL))]
    pub tenant_name: String,
    /// The moment.
    #[schemars(schema_with = "schema::time")]
    pub time: Time,
}

/// Name of an object in the same namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// The object's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::DNS_LABEL))]
    pub name: String,
}

/// An init script: exactly one member.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.sql), has(self.configMapRef)].filter(given, given).size() == 1")
        .message("initScript has exactly one member: write either sql or configMapRef")
)]
pub struct InitScript {
    /// The statements, at most 32 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32768))]
    pub sql: Option<String>,
    /// A key of a ConfigMap in the Tenant's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKey>,
}

/// A key of a ConfigMap.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKey {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::DNS_SUBDOMAIN))]
    pub name: String,
    /// Key within it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// Whom data is taken over from.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// UID of the namespace kube-system of the cluster that wrote the data.
    #[serde(rename = "clusterID")]
    #[schemars(length(min = 36, max = 36), regex(pattern = schema::UID))]
    pub cluster_id: String,
    /// UID of the namespace that the data was written for.
    #[serde(rename = "namespaceUID")]
    #[schemars(length(min = 36, max = 36), regex(pattern = schema::UID))]
    pub namespace_uid: String,
}

/// Observed state of a Tenant: what the operator found and did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
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
    /// Last published position of the branch main.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionSummary>,
    /// Age of the oldest commit that a crash would lose, at the last report while serving; absent below a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable_lag: Option<Duration>,
    /// Guarantee that answers wait for, unless a request says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// The key of its class that wraps its data key; absent if it is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub encryption_key: Option<String>,
    /// The oldest moment that it can be recovered at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub recoverable_from: Option<Time>,
    /// Why the last wake failed or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_failure: Option<crate::WakeFailure>,
    /// BLAKE3 of the init script that was run, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub init_script_hash: Option<String>,
    /// When the latest snapshot was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_snapshot_time: Option<Time>,
    /// The latest five snapshots, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub snapshots: Vec<SnapshotSummary>,
    /// Where its data is and whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<crate::StorageLocation>,
}
