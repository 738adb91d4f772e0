//! The grant: what turns a generic runtime pod into one tenant's, handed over once, signed by the operator.

use crate::{
    durability::{PutBudget, Terms},
    position::Position,
    secret::Secret,
    signing::{Statement, VerifyingKey},
    time::{UnixMillis, duration_millis},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// Time for which a grant may be presented after it was signed.
pub const GRANT_VALIDITY: Duration = Duration::from_mins(1);

/// One tenant's branch for one pod.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// [`crate::PROTOCOL_VERSION`] of the operator.
    pub version: u16,
    /// Name of the only pod that may accept it.
    pub pod: String,
    /// UID of the only pod that may accept it.
    pub pod_uid: String,
    /// When it ceases to be acceptable.
    pub not_after: UnixMillis,
    /// Makes each grant different; becomes the holder's id in HEAD.
    pub nonce: Uuid,
    /// The tenant whose data it is.
    pub tenant: TenantIdentity,
    /// Name of the branch, `main` or another.
    pub branch: String,
    /// Where the data is and the key to it.
    pub storage: StorageLocation,
    /// The key of the tenant's data, in hexadecimal; none if it is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_key: Option<Secret>,
    /// The pod's task.
    pub task: Task,
    /// Limits of the engine.
    pub engine: EngineLimits,
    /// The key whose session tokens the pod accepts.
    pub gateway_key: VerifyingKey,
}

impl Statement for Grant {
    const PURPOSE: &'static str = "grant";
}

/// A tenant and the owner recorded in its `tenant.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantIdentity {
    /// Namespace of the Tenant object.
    pub namespace: String,
    /// Name of the Tenant object; also the database's name in SQL.
    pub name: String,
    /// UID of namespace `kube-system`.
    pub cluster_id: String,
    /// UID of the tenant's namespace.
    pub namespace_uid: String,
    /// UID of the Tenant object.
    pub tenant_uid: String,
}

/// A place in a bucket with the credentials to reach it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StorageLocation {
    /// Bucket name.
    pub bucket: String,
    /// Prefix of the class, without a slash at either end; may be empty.
    pub prefix: String,
    /// Endpoint URL; none means AWS.
    pub endpoint: Option<String>,
    /// Region; `auto` for R2.
    pub region: String,
    /// Bucket in the path instead of the host name.
    pub path_style: bool,
    /// Private CA that signed the endpoint's certificate, PEM, besides the system's roots.
    pub ca_pem: Option<String>,
    /// Access key id.
    pub access_key_id: Secret,
    /// Secret access key.
    pub secret_access_key: Secret,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
}

/// Task that a pod does with its grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Task {
    /// Take over the branch and serve it.
    Serve(Serve),
    /// Export a published position as a Parquet snapshot, touching no HEAD.
    ExportParquet(ExportParquet),
    /// Find the last commit up to which a branch opens, touching no HEAD.
    CheckReplay(CheckReplay),
}

/// Details of [`Task::Serve`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Serve {
    /// Whether an unsealed HEAD may be taken over.
    pub takeover: Takeover,
    /// Idle this long, the runtime drains, publishes, seals and exits.
    #[serde(with = "duration_millis")]
    pub idle_timeout: Duration,
    /// Longest time that sealing may take once draining began.
    #[serde(with = "duration_millis")]
    pub drain_timeout: Duration,
    /// SQL to run in one transaction when the branch was never published.
    pub init_script: Option<String>,
    /// Durability that answers wait for.
    #[serde(default)]
    pub durability: Terms,
    /// Budget of WAL segments that may be written.
    #[serde(default)]
    pub put_budget: PutBudget,
}

/// Whether an unsealed HEAD may be taken over: what is known of the branch's previous holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Takeover {
    /// Nothing is known: only a sealed HEAD.
    OnlySealed,
    /// It is proven gone: also an unsealed one, at its last manifest and what it shipped after that.
    PreviousGone,
}

/// Details of [`Task::ExportParquet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportParquet {
    /// Name of the Snapshot object: the folder's name.
    pub snapshot: String,
    /// UID of the Snapshot object: who owns the folder.
    pub snapshot_uid: String,
    /// The position to read.
    pub position: Position,
    /// Key of the pin that keeps the position, relative to the tenant's prefix; the operator wrote it and removes it.
    pub pin: String,
}

/// Details of [`Task::CheckReplay`]. The result is a [`crate::report::ReplayReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReplay {
    /// The end of what is to open.
    pub position: Position,
    /// Key of the pin that keeps it, relative to the tenant's prefix; the operator wrote it and removes it.
    pub pin: String,
}

/// Limits of the engine that serves a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineLimits {
    /// Share of the pod's memory limit (`75%`) or bytes (`512Mi`); none means 75%.
    pub memory_limit: Option<String>,
    /// Threads; none means the pod's CPU limit, rounded up.
    pub threads: Option<u32>,
    /// Settings of DuckDB, from the class's allowlist.
    pub settings: BTreeMap<String, String>,
    /// Longest time one request may take.
    #[serde(with = "duration_millis")]
    pub statement_timeout: Duration,
}

/// Request body of [`crate::names::paths::GRANT`].
#[derive(Debug, Serialize, Deserialize)]
pub struct GrantRequest {
    /// A [`Grant`], signed by the operator.
    pub grant: String,
}
