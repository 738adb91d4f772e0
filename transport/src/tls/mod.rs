//! TLS: what a server shows, whom a client trusts. Everything uses *ring*.

mod certificate;
#[cfg(feature = "dial")]
mod client;
#[cfg(feature = "certificate-files")]
mod files;
mod server;

pub use certificate::{Certificate, CertificateError};
#[cfg(feature = "dial")]
pub use client::{AuthorityError, client_config};
#[cfg(feature = "certificate-files")]
pub use files::CertificateFiles;
pub use server::ServerTls;

use rustls::crypto::{CryptoProvider, ring};

/// ALPN's name of HTTP/1.1.
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// There is a provider already, so it may be another one.
#[derive(Debug, thiserror::Error)]
#[error("another TLS provider is installed already")]
pub struct ProviderInstalled;

/// Makes *ring* what everything in this process uses that makes TLS for itself, as Kubernetes' client does. To be called
/// once, at the start of a program.
pub fn install_provider() -> Result<(), ProviderInstalled> {
    ring::default_provider().install_default().map_err(|_| ProviderInstalled)
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}
