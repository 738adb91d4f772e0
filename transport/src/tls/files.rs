//! A server's certificate in files that may change while the server runs, as a mounted Secret does.

use super::{Certificate, CertificateError, certificate::read_pair};
use rustls::sign::CertifiedKey;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// Pause between two looks at the files. A mounted Secret changes at most once a minute.
const RELOAD_PERIOD: Duration = Duration::from_secs(10);

/// A certificate and where it comes from.
#[derive(Debug)]
pub struct CertificateFiles {
    chain: PathBuf,
    key: PathBuf,
    certificate: Arc<Certificate>,
}

impl CertificateFiles {
    /// Reads a chain and its key, both PEM.
    pub async fn load(chain: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let certificate = Certificate::of(read(&chain, &key).await?);
        Ok(Self { chain, key, certificate })
    }

    /// The certificate, which changes with the files.
    pub const fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// Reads the files again; says whether they had changed. On failure the last good certificate stays in use.
    pub async fn reload(&self) -> Result<bool, CertificateError> {
        Ok(self.certificate.show(read(&self.chain, &self.key).await?))
    }

    /// Keeps reading the files, for ever.
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

async fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let content = async |path: &Path| {
        let content = tokio::fs::read(path).await;
        content.map_err(|error| CertificateError::File { file: path.to_owned(), error })
    };
    let (chain_pem, key_pem) = (content(chain).await?, content(key).await?);
    read_pair(
        (&format!("certificate chain in {}", chain.display()), &chain_pem),
        (&format!("private key in {}", key.display()), &key_pem),
    )
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
        let serving = CertificateFiles::load(certificate.clone(), key.clone()).await.unwrap();
        let shown = || serving.certificate().shown().cert[0].clone();
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
