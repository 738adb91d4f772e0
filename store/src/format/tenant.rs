//! tenant.json: whose data a prefix holds.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::Document;
use crate::identity::{Owner, PutId};
use crate::position::Position;

/// Stage in the life of a tenant's prefix.
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

/// Origin of a tenant's data, as the `spec.source` of its Tenant said. A part that is none is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum DataSource {
    /// Nothing: it began empty.
    Empty,
    /// An init script.
    InitScript {
        /// BLAKE3 of the script, in hexadecimal. Written before a pod gets the script: none is no script that ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
    },
    /// A native snapshot of another tenant.
    Snapshot {
        /// The other tenant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
        /// The snapshot.
        name: String,
        /// The position that it held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<Position>,
    },
    /// The branch main of another tenant as it was at a moment.
    Moment {
        /// The other tenant.
        tenant: String,
        /// The moment.
        time: Timestamp,
    },
}

impl DataSource {
    /// Whether both may be the same: nothing that is known of both differs.
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::InitScript { hash: one }, Self::InitScript { hash: other }) => {
                same(one.as_ref(), other.as_ref())
            }
            (
                Self::Snapshot { tenant: one_tenant, name: one, position: one_position },
                Self::Snapshot { tenant, name, position },
            ) => {
                one == name
                    && same(one_tenant.as_ref(), tenant.as_ref())
                    && same(one_position.as_ref(), position.as_ref())
            }
            (one, other) => one == other,
        }
    }

    /// Whether there is no data of it before something is published.
    pub(crate) fn begins_empty(&self) -> bool {
        matches!(self, Self::Empty | Self::InitScript { .. })
    }
}

fn same<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no source"),
            Self::InitScript { hash: Some(hash) } => write!(f, "initScript with the BLAKE3 hash {hash}"),
            Self::InitScript { hash: None } => f.write_str("initScript"),
            Self::Snapshot { tenant: Some(tenant), name, .. } => {
                write!(f, "snapshot {name} of Tenant {tenant}")
            }
            Self::Snapshot { tenant: None, name, .. } => write!(f, "snapshot {name}"),
            Self::Moment { tenant, time } => write!(f, "pointInTime {time} of Tenant {tenant}"),
        }
    }
}

/// Content of `tenant.json`. Changed only by compare-and-swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantRecord {
    /// Identity of the write that made this version.
    pub put_id: PutId,
    /// Whose data this is.
    pub owner: Owner,
    /// Stage that the prefix has reached.
    pub stage: Stage,
    /// When the prefix was claimed first.
    pub created: Timestamp,
    /// Owner that it was adopted from last, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_from: Option<Owner>,
    /// Snapshot (`tenant/name`) or moment (`tenant at time`) that is copied into it: only that copy may create main.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<String>,
    /// Names of the tenants that the data was copied from, the first one first: SQL that was written under them is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_names: Vec<String>,
    /// Origin of its data, still planned while the tenant is being created; none if an old release did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<DataSource>,
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
