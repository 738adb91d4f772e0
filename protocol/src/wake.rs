//! The gateway asks, the operator wakes: `POST /v1/wake`.

use crate::time::duration_millis;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Request body. The answer is a [`Route`] or a [`crate::problem::Problem`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WakeRequest {
    /// [`crate::PROTOCOL_VERSION`] of the gateway.
    pub version: u16,
    /// Namespace of the Tenant.
    pub namespace: String,
    /// Name of the Tenant.
    pub tenant: String,
    /// Branch within the tenant.
    pub branch: String,
    /// UID of a pod that turned out to be draining or gone: wait for its end instead of naming it again.
    pub not_pod_uid: Option<String>,
    /// Name a runtime that serves now or answer [`crate::problem::ErrorCode::NotFound`]: start nothing, wait for
    /// nothing, count as no activity. Cancelling or looking at a query must not wake a sleeping tenant.
    #[serde(default)]
    pub only_if_running: bool,
    /// Time that the gateway will wait for the answer.
    #[serde(with = "duration_millis")]
    pub patience: Duration,
}

/// Where a branch is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// [`crate::PROTOCOL_VERSION`] of the operator.
    pub version: u16,
    /// Pod name: gives the name to verify over TLS.
    pub pod: String,
    /// Pod UID.
    pub pod_uid: String,
    /// Pod IP address.
    pub address: String,
    /// TLS port.
    pub port: u16,
    /// UID of the Tenant, for session tokens.
    pub tenant_uid: String,
    /// Longest time that the class allows one request.
    #[serde(with = "duration_millis")]
    pub statement_timeout: Duration,
}
