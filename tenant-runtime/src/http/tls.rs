//! The server's side of TLS, from PEM texts.

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::sync::Arc;

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or not what it should hold.
    #[error("the TLS {what} cannot be read: {message}; expected PEM")]
    BadPem {
        /// Certificate or key.
        what: &'static str,
        /// Why.
        message: String,
    },
    /// Key and certificate do not belong together, or are of an unknown kind.
    #[error("the TLS certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Reads a certificate chain and its private key.
pub fn server_config(certificates: &str, key: &str) -> Result<Arc<ServerConfig>, TlsError> {
    let bad =
        |what, error: rustls::pki_types::pem::Error| TlsError::BadPem { what, message: error.to_string() };
    let chain = CertificateDer::pem_slice_iter(certificates.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad("certificate", error))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| bad("key", error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
