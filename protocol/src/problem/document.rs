//! The RFC 9457 document of a problem, as it is sent.

use super::table::{Advice, ErrorCode};
use serde::{Deserialize, Serialize};

/// A problem with all that follows from it.
#[derive(Serialize, Deserialize)]
pub(super) struct Document {
    /// `https://roostdb.dev/problems/<code>`.
    #[serde(rename = "type")]
    pub type_uri: String,
    pub code: ErrorCode,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub sqlstate: String,
    pub advice: Advice,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_id: Option<uuid::Uuid>,
    #[serde(default, rename = "committedStatements", skip_serializing_if = "Option::is_none")]
    pub committed_statements: Option<u64>,
}
