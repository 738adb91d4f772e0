//! S3 and what speaks like it: Cloudflare R2, MinIO, SeaweedFS.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A bucket key. Never shown by `Debug`; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "camelCase")]
pub struct S3Credentials {
    /// Access key id.
    #[serde(rename = "accessKeyID")]
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Credentials(..)")
    }
}

/// Where a bucket is and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// URL of the endpoint; none for AWS's own of the region.
    pub endpoint: Option<String>,
    /// Region; `auto` for R2.
    pub region: String,
    /// Whether the bucket is part of the path instead of the host name.
    pub path_style: bool,
    /// PEM certificates trusted besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// The key.
    pub credentials: S3Credentials,
    /// Bound of one request from its start to the first byte of its answer.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
}

/// [`S3Config::timeout`] where nothing else is known.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

/// A configuration that no client can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3ConfigError {
    /// The certificates do not parse, or there are none.
    #[error("the CA certificates cannot be used: {0}; expected PEM")]
    BadCertificates(String),
    /// A field that cannot be right.
    #[error("{field} of the storage configuration is not valid: {why}")]
    BadField {
        /// The field.
        field: &'static str,
        /// Why.
        why: String,
    },
}

/// A bucket behind the S3 API.
#[derive(Debug, Clone)]
pub struct S3Store {}

impl S3Store {
    /// Makes a client. Sends nothing.
    pub fn new(_config: &S3Config) -> Result<Self, S3ConfigError> {
        todo!()
    }
}
