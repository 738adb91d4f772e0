//! The certificate of a server, which can be replaced while it serves.

use super::provider;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::sync::{Arc, PoisonError, RwLock};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[cfg(feature = "certificate-files")]
    #[error("{}: {error}", file.display())]
    File {
        /// Which.
        file: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A text is not what it should be.
    #[error("the {what} is not readable as PEM: {why}")]
    Content {
        /// Which text.
        what: String,
        /// Why it does not hold it.
        why: String,
    },
    /// The key does not belong to the certificate, or rustls cannot use it.
    #[error("certificate and key do not fit: {0}")]
    Unfit(#[from] rustls::Error),
}

/// Identity of a server at each handshake: a chain of certificates, the server's own first, and its key.
#[derive(Debug)]
pub struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    /// Reads a chain and the private key of its first certificate, both PEM.
    pub fn from_pem(chain: &str, key: &str) -> Result<Arc<Self>, CertificateError> {
        Ok(Self::of(pair(chain, key)?))
    }

    pub(super) fn of(pair: CertifiedKey) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(pair))))
    }

    /// Shows another pair from the next handshake on; says whether its chain differs. A pair that cannot be used leaves
    /// the last one in place.
    pub fn replace(&self, chain: &str, key: &str) -> Result<bool, CertificateError> {
        Ok(self.show(pair(chain, key)?))
    }

    pub(super) fn show(&self, pair: CertifiedKey) -> bool {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // A key belongs to its certificate, so the same chain means the same key.
        let changed = shown.cert != pair.cert;
        if changed {
            *shown = Arc::new(pair);
        }
        changed
    }

    /// The pair as it is now.
    pub(super) fn shown(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }
}

fn pair(chain: &str, key: &str) -> Result<CertifiedKey, CertificateError> {
    read_pair(("certificate chain", chain.as_bytes()), ("private key", key.as_bytes()))
}

/// Reads what two named texts hold.
pub(super) fn read_pair(
    (chain_name, chain): (&str, &[u8]),
    (key_name, key): (&str, &[u8]),
) -> Result<CertifiedKey, CertificateError> {
    let bad = |what: &str, why: String| CertificateError::Content { what: what.to_owned(), why };
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(chain_name, error.to_string()))?;
    if chain.is_empty() {
        return Err(bad(chain_name, "it is empty".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad(key_name, error.to_string()))?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_is_read_or_refused() {
        let ((chain, key), (other, _)) = (made("one.example"), made("two.example"));
        let read =
            |chain: &str, key: &str| Certificate::from_pem(chain, key).map(drop).map_err(|e| e.to_string());
        assert_eq!(read(&chain, &key), Ok(()));
        for (chain, key, message) in [
            (&other, &key, "do not fit"),
            (&String::new(), &key, "the certificate chain is not readable as PEM: it is empty"),
            (&chain, &chain, "the private key is not readable as PEM"),
        ] {
            let error = read(chain, key).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_replaced_pair_is_shown_and_a_useless_one_is_not() {
        let ((first, first_key), (second, second_key)) = (made("one.example"), made("two.example"));
        let certificate = Certificate::from_pem(&first, &first_key).unwrap();
        let before = certificate.shown();
        assert!(!certificate.replace(&first, &first_key).unwrap());
        assert!(certificate.replace(&second, &first_key).is_err());
        assert_eq!(certificate.shown().cert, before.cert);
        assert!(certificate.replace(&second, &second_key).unwrap());
        assert_ne!(certificate.shown().cert, before.cert);
    }
}
