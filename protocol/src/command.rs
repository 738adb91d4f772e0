//! Commands of the operator to a runtime that serves, signed for one pod.

use crate::{signing::Statement, time::UnixMillis};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// Time for which a command may be presented after it was signed.
pub const COMMAND_VALIDITY: Duration = Duration::from_secs(30);

/// One command for one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// [`crate::PROTOCOL_VERSION`] of the operator.
    pub version: u16,
    /// UID of the only pod that may obey it.
    pub pod_uid: String,
    /// When it ceases to be acceptable.
    pub not_after: UnixMillis,
    /// Makes each command different, so that it is accepted once.
    pub nonce: Uuid,
    /// The order to carry out.
    pub order: Order,
}

impl Statement for Command {
    const PURPOSE: &'static str = "command";
}

/// Order to a runtime, which answers it with a [`crate::status::RuntimeStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Only answer with the status.
    Report,
    /// Publish everything committed before this command arrived, then answer.
    Publish,
    /// Refuse new requests, publish, seal, exit; answered once draining has begun.
    Drain,
}

/// Request body of [`crate::names::paths::COMMAND`].
#[derive(Debug, Serialize, Deserialize)]
pub struct CommandRequest {
    /// A [`Command`], signed by the operator.
    pub command: String,
}
