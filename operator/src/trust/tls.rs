//! TLS as the internal processes speak it: only our own authority is trusted, and names are process names.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::authority::Identity;

/// A certificate or key could not be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM.
    #[error("a certificate or key of the internal CA is not readable: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// rustls refuses it.
    #[error("TLS with the internal CA cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Trusts only the given authority.
pub fn client_config(authority_pem: &str) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Serves with the given identity; clients prove themselves by tokens and signatures.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}
