//! The session token: the gateway's word for who sends a request, to one tenant's runtime.

use crate::{signing::Statement, time::UnixMillis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Time for which a token may be presented after it was signed.
pub const SESSION_VALIDITY: Duration = Duration::from_mins(1);

/// Statement of who may do what in which database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionToken {
    /// [`crate::PROTOCOL_VERSION`] of the gateway.
    pub version: u16,
    /// UID of the only tenant whose runtime accepts it.
    pub tenant_uid: String,
    /// The only branch that accepts it.
    pub branch: String,
    /// Kubernetes user name, for cancelling one's own queries and for the audit log.
    pub user: String,
    /// Role of the user.
    pub role: Role,
    /// When it ceases to be acceptable for a new request.
    pub not_after: UnixMillis,
}

impl Statement for SessionToken {
    const PURPOSE: &'static str = "session";
}

/// Rights of a session in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Verb `read`: every transaction is READ ONLY.
    ReadOnly,
    /// Verb `connect`: reads and writes the tenant's database and temporary tables, as the policy allows.
    ReadWrite,
}
