//! tenant.json: whose data a prefix holds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::Document;
use crate::identity::{Owner, PutId};

/// How far a tenant's prefix has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Claimed; main's HEAD may not exist yet.
    Creating,
    /// Main's HEAD was created. Its absence is a loss, never a reason to create it again.
    Created,
    /// Its objects are being deleted.
    Deleting,
}

/// Content of `tenant.json`. Changed only by compare-and-swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantRecord {
    /// Identity of the write that made this version.
    pub put_id: PutId,
    /// Whose data this is.
    pub owner: Owner,
    /// How far it has come.
    pub stage: Stage,
    /// When the prefix was claimed first.
    pub created: Timestamp,
    /// Owner that it was adopted from last, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_from: Option<Owner>,
    /// Snapshot (`tenant/name`) that the tenant is being restored from: only that restore may create main.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<String>,
    /// Names of the tenants that the data was copied from, the first one first: SQL that was written under them is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_names: Vec<String>,
    /// The tenant's data key, wrapped by a key of its class; none if the tenant is not encrypted. It is there from the
    /// first version on, or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_key: Option<String>,
}

impl Document for TenantRecord {
    const FORMAT: &'static str = "roost-tenant";
    const VERSION: u32 = 2;
    const LIMIT: u64 = 64 * 1024;
    /// Readers of version 1 know no encryption: they would write in the clear.
    fn version(&self) -> u32 {
        if self.data_key.is_some() { 2 } else { 1 }
    }
}
