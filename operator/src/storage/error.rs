//! Why a bucket, or what a tenant has there, could not be opened.

use std::sync::Arc;

use roost_protocol::identity::InvalidName;
use roost_store::{KeyError, S3ConfigError, TenantError};

/// A place could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A Secret does not exist.
    #[error("Secret {name} does not exist in the operator's namespace; create it with the keys {keys}")]
    SecretNotFound {
        /// The Secret.
        name: String,
        /// The keys that it should hold.
        keys: &'static str,
    },
    /// A Secret lacks a key, or it is no text.
    #[error("Secret {name} has no usable key {key}; add it")]
    SecretInvalid {
        /// The Secret.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// The keys of a class that encrypts cannot be used.
    #[error("Secret {name} of spec.encryption: {cause}")]
    Keys {
        /// The Secret.
        name: String,
        /// Why.
        cause: KeyError,
    },
    /// No client can be made of what they hold.
    #[error("the storage of the class cannot be used: {0}")]
    Config(#[from] Arc<S3ConfigError>),
    /// A name in the path is not valid.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The API server failed.
    #[error("a Secret could not be read: {0}")]
    Api(#[from] kube::Error),
}

/// A step on a tenant's prefix failed, or could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The bucket or the class's keys could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The step itself failed.
    #[error(transparent)]
    Tenant(#[from] TenantError),
}

impl From<KeyError> for StepError {
    fn from(error: KeyError) -> Self {
        Self::Tenant(error.into())
    }
}
