//! Types that several kinds use.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Running (default): woken by its first query. Suspended: connections are refused and nothing wakes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OperatingMode {
    /// Woken by its first query.
    #[default]
    Running,
    /// Connections are refused and nothing wakes it.
    Suspended,
}

/// Policy for the data when the object is deleted. Retain (default): it stays in the bucket. Delete: it is deleted
/// before the object goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The data stays in the bucket.
    #[default]
    Retain,
    /// The data is deleted before the object goes.
    Delete,
}

/// Guarantee that answers wait for. Synchronous: what they tell is in object storage, so that nothing acknowledged is
/// ever lost. Asynchronous: none; a crash loses what was committed in the last second, or since a commit
/// that waits for a publish: a minute and a half at most while the bucket answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Durability {
    /// Answers wait for nothing; a crash loses what was committed in the last second, or since a commit that waits for a
    /// publish.
    Asynchronous,
    /// Answers wait until what they tell is in object storage.
    #[default]
    Synchronous,
}

/// Guarantee of answers to queries that write nothing. Strict: what they tell is in object storage, and a recent proof
/// shows that their pod owns the branch. Relaxed: none while object storage is away; see docs/durability.md.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reads {
    /// Queries that write nothing wait for nothing while object storage is away.
    Relaxed,
    /// They wait until what they tell is in object storage, and for a proof of ownership.
    #[default]
    Strict,
}

/// Form of a snapshot. Parquet (default): files that anyone can read. Native: a pinned position, instant, to
/// restore and branch from; it is a part of its tenant's data, and goes with that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SnapshotFormat {
    /// Parquet files, a schema and metadata that anyone can read, in a folder of their own.
    #[default]
    Parquet,
    /// A pinned position of the branch: instant, copies nothing, can be restored and branched from.
    Native,
}

/// Where a tenant or branch is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServingState {
    /// Being created or checked; nothing is known yet.
    Pending,
    /// Sealed in the bucket, no pod.
    Idle,
    /// A pod is starting for it.
    Waking,
    /// A pod answers queries.
    Serving,
    /// Its pod publishes and seals.
    Draining,
    /// Connections are refused by its operatingMode.
    Suspended,
    /// Something keeps it from serving; conditions say what.
    Failed,
    /// Being deleted.
    Deleting,
}

/// Where clients connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Host (and port, if not the usual one) of the gateway.
    #[schemars(length(max = 300))]
    pub host: String,
    /// Name of the database.
    #[schemars(length(max = 253))]
    pub database: String,
    /// Path of the HTTP query API.
    #[schemars(length(max = 512))]
    pub path: String,
}

/// A commit boundary in a branch's history, at the granularity of manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PositionSummary {
    /// Branch name.
    #[schemars(length(max = 40))]
    pub branch: String,
    /// Lineage of the branch: 128 bits in hexadecimal.
    #[schemars(length(max = 64))]
    pub lineage: String,
    /// Epoch of the owner that published it.
    #[schemars(schema_with = "schema::count")]
    pub epoch: u64,
    /// Number of the manifest; 0 when nothing was ever published.
    #[schemars(schema_with = "schema::count")]
    pub manifest: u64,
}

/// Everything needed to find and to own the data again, without the Tenant or its class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageLocation {
    /// Class that the location was resolved from.
    #[schemars(length(max = 253))]
    pub class_name: String,
    /// Bucket.
    #[schemars(length(max = 63))]
    pub bucket: String,
    /// Prefix of the class within the bucket, without slashes at its ends; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub prefix: String,
    /// URL of the S3 endpoint; absent for AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub endpoint: Option<String>,
    /// Region; absent when the class names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub region: Option<String>,
    /// Whether the bucket is part of the path instead of the host name.
    pub path_style: bool,
    /// Secret with the credentials, in the operator's namespace.
    #[schemars(length(max = 253))]
    pub credentials_secret: String,
    /// Secret with the private CA, in the operator's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub ca_secret: Option<String>,
    /// Namespace of the tenant.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Name of the tenant.
    #[schemars(length(max = 63))]
    pub tenant: String,
    /// UID of the namespace kube-system.
    #[serde(rename = "clusterID")]
    #[schemars(length(max = 36))]
    pub cluster_id: String,
    /// UID of the tenant's namespace.
    #[serde(rename = "namespaceUID")]
    #[schemars(length(max = 36))]
    pub namespace_uid: String,
    /// UID of the Tenant.
    #[serde(rename = "tenantUID")]
    #[schemars(length(max = 36))]
    pub tenant_uid: String,
    /// Key prefix in the bucket at which the object's own data lies.
    #[schemars(length(max = 1024))]
    pub path: String,
}

/// One of the latest snapshots of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotSummary {
    /// Name of the Snapshot.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Branch that it was taken of.
    #[schemars(length(max = 40))]
    pub branch: String,
    /// Its form.
    pub format: SnapshotFormat,
    /// When it was complete.
    #[schemars(schema_with = "schema::time")]
    pub completion_time: Time,
}

/// Why the last wake failed or what it waits for. Written by the replica that wakes, removed when a wake succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WakeFailure {
    /// A reason of the table: CeilingReached, WakeFailed or EncryptionKeyInvalid.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Text for people: what happened, why, what to do.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Generation of the spec that was to be woken.
    #[schemars(schema_with = "schema::count")]
    pub generation: i64,
    /// When it was last so.
    #[schemars(schema_with = "schema::time")]
    pub time: Time,
}
