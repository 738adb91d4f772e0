//! The client's side of TLS: only given authorities are trusted.

use super::provider;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::sync::Arc;

/// Why authorities cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Not PEM.
    #[error("it cannot be read: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// No certificate in it.
    #[error("it is empty")]
    Empty,
    /// rustls refuses it.
    #[error("it cannot be used: {0}")]
    Unfit(#[from] rustls::Error),
}

/// Trusts the certificates in a PEM text and nothing else, and offers these protocols (ALPN).
pub fn client_config(authorities: &[u8], protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, AuthorityError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err(AuthorityError::Empty);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_or_refused() {
        let made = rcgen::generate_simple_self_signed(vec!["ca".into()]).unwrap().cert.pem();
        let both = made.repeat(2);
        let cut = made.replace("-----END", "-----");
        for (text, fits) in [(made.as_str(), true), (&both, true), ("", false), ("x", false), (&cut, false)] {
            assert_eq!(client_config(text.as_bytes(), &[]).is_ok(), fits, "{text}");
        }
    }
}
