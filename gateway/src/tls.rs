//! The certificate shown to clients, from files that may change while the gateway runs.

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::sleep;

/// How often the files are looked at. A mounted Secret changes at most once a minute.
const RELOAD_PERIOD: Duration = Duration::from_secs(10);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{}: {error}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: not {what} in PEM: {why}", file.display())]
    Content {
        /// Which.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why it does not.
        why: String,
    },
    /// The key does not belong to the certificate, or rustls cannot use it.
    #[error("certificate and key do not fit: {0}")]
    Unfit(#[from] rustls::Error),
}

/// A certificate in files.
#[derive(Debug)]
pub struct ServingCertificate {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    digest: Vec<u8>,
}

impl ServingCertificate {
    /// Reads the files.
    pub async fn load(certificate: PathBuf, key: PathBuf) -> Result<Arc<Self>, CertificateError> {
        let current = RwLock::new(read(&certificate, &key).await?);
        Ok(Arc::new(Self { certificate, key, current }))
    }

    /// Configuration of a server that shows this certificate, as it is at each handshake.
    pub fn server_config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Reads the files again; says whether they had changed. On failure the last good certificate stays in use.
    pub async fn reload(&self) -> Result<bool, CertificateError> {
        let read = read(&self.certificate, &self.key).await?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.digest != read.digest;
        if changed {
            *current = read;
        }
        Ok(changed)
    }

    /// Keeps reading the files.
    pub async fn follow(&self) {
        let mut reported = String::new();
        loop {
            sleep(RELOAD_PERIOD).await;
            match self.reload().await {
                Ok(true) => tracing::info!("new serving certificate loaded"),
                Ok(false) => {}
                Err(error) if error.to_string() == reported => {}
                Err(error) => {
                    tracing::error!(%error, "the serving certificate cannot be loaded; the last one stays in use");
                    reported = error.to_string();
                }
            }
        }
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

async fn read(certificate: &Path, key: &Path) -> Result<Loaded, CertificateError> {
    let file = async |path: &Path| {
        let content = tokio::fs::read(path).await;
        content.map_err(|error| CertificateError::File { file: path.to_owned(), error })
    };
    let (chain_pem, key_pem) = (file(certificate).await?, file(key).await?);
    let content = |path: &Path, what: &'static str, why: String| CertificateError::Content {
        file: path.to_owned(),
        what,
        why,
    };
    let chain = CertificateDer::pem_slice_iter(&chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(certificate, "a certificate chain", error.to_string()))?;
    if chain.is_empty() {
        return Err(content(certificate, "a certificate chain", "it is empty".into()));
    }
    let private = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|error| content(key, "a private key", error.to_string()))?;
    let provider: CryptoProvider = rustls::crypto::ring::default_provider();
    let certified = Arc::new(CertifiedKey::from_der(chain, private, &provider)?);
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    digest.update(&chain_pem);
    digest.update(&key_pem);
    Ok(Loaded { certified, digest: digest.finish().as_ref().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, names: &[&str]) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }

    #[tokio::test]
    async fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = write(directory.path(), &["one.example"]);
        let serving = ServingCertificate::load(certificate.clone(), key.clone()).await.unwrap();
        let shown = || serving.current.read().unwrap().certified.cert[0].clone();
        let first = shown();
        assert!(!serving.reload().await.unwrap());
        write(directory.path(), &["two.example"]);
        assert!(serving.reload().await.unwrap());
        let second = shown();
        assert_ne!(first, second);
        // Half of a pair: the key is of another certificate.
        let good = std::fs::read(&key).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["three.example".into()]).unwrap();
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        assert!(matches!(serving.reload().await, Err(CertificateError::Unfit(_))));
        std::fs::write(&key, "nonsense").unwrap();
        assert!(matches!(serving.reload().await, Err(CertificateError::Content { .. })));
        std::fs::remove_file(&key).unwrap();
        assert!(matches!(serving.reload().await, Err(CertificateError::File { .. })));
        assert_eq!(shown(), second);
        std::fs::write(&key, good).unwrap();
        assert!(!serving.reload().await.unwrap());
    }
}
