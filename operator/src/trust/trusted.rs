//! The keys in use.

use std::sync::Arc;

use rustls::ClientConfig;

use super::secrets::Trust;

/// The keys, and TLS that trusts only their authority.
#[derive(Debug)]
pub struct Trusted {
    /// The keys.
    pub trust: Arc<Trust>,
    /// TLS towards runtime pods.
    pub tls: Arc<ClientConfig>,
}
