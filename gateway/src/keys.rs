//! The keys that the operator hands the gateway through a Secret: the one that signs session tokens, and the internal CA.

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};
use roost_protocol::{
    names::{CA_CERT_KEY, GATEWAY_KEYS_SECRET, SESSION_SIGNING_KEY},
    signing::{SigningError, SigningKey},
};
use roost_transport::tls::{AuthorityError, HTTP_1_1, client_config};
use rustls::ClientConfig;
use std::sync::Arc;
use tokio::sync::watch;

/// The keys in use.
#[derive(Debug)]
pub struct Keys {
    /// Signs session tokens.
    pub session: SigningKey,
    /// Trusts the internal CA and nothing else.
    pub tls: Arc<ClientConfig>,
    /// Grows with each change, so that connections made under older keys are not used again.
    pub generation: u64,
}

/// The newest keys; `None` until the operator has made them.
pub type KeysReceiver = watch::Receiver<Option<Arc<Keys>>>;

/// Reason why a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key is missing from the Secret.
    #[error("Secret {GATEWAY_KEYS_SECRET} has no key {0}; delete it, and the operator makes it again")]
    Missing(&'static str),
    /// The signing key is no PKCS#8 document of an Ed25519 key.
    #[error("{SESSION_SIGNING_KEY} of Secret {GATEWAY_KEYS_SECRET}: {0}")]
    SigningKey(#[from] SigningError),
    /// The CA certificate is no PEM certificate.
    #[error("{CA_CERT_KEY} of Secret {GATEWAY_KEYS_SECRET} is not a certificate in PEM: {0}")]
    Certificate(#[from] AuthorityError),
}

impl Keys {
    /// Reads the Secret.
    pub fn read(secret: &Secret, generation: u64) -> Result<Self, KeysError> {
        let part = |key: &'static str| {
            let data = secret.data.as_ref().and_then(|data| data.get(key));
            data.map(|bytes| bytes.0.as_slice()).ok_or(KeysError::Missing(key))
        };
        let session = SigningKey::from_pkcs8(part(SESSION_SIGNING_KEY)?)?;
        let tls = client_config(part(CA_CERT_KEY)?, &[HTTP_1_1])?;
        Ok(Self { session, tls, generation })
    }
}

/// Watches the Secret for ever. A Secret that cannot be read, or is gone, leaves the last good keys in use.
pub async fn follow(client: Client, namespace: String, keys: watch::Sender<Option<Arc<Keys>>>) {
    let api: Api<Secret> = Api::namespaced(client, &namespace);
    let secrets = watcher::watch_object(api, GATEWAY_KEYS_SECRET).default_backoff();
    pin_mut!(secrets);
    let mut generation = 0;
    let mut seen = None;
    while let Some(event) = secrets.next().await {
        match event {
            Ok(Some(secret)) if seen == secret.data => {}
            Ok(Some(secret)) => match Keys::read(&secret, generation + 1) {
                Ok(read) => {
                    generation += 1;
                    seen = secret.data;
                    tracing::info!(generation, "internal keys loaded");
                    keys.send_replace(Some(Arc::new(read)));
                }
                Err(error) => tracing::error!(%error, "internal keys cannot be used"),
            },
            Ok(None) => {
                tracing::warn!(secret = GATEWAY_KEYS_SECRET, "waiting for the operator to make the Secret");
            }
            Err(error) => tracing::warn!(%error, secret = GATEWAY_KEYS_SECRET, "cannot watch the Secret"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(parts: &[(&str, Vec<u8>)]) -> Secret {
        let data = parts.iter().map(|(key, bytes)| ((*key).to_owned(), ByteString(bytes.clone()))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    #[test]
    fn a_secret_is_read_or_refused() {
        let certified = rcgen::generate_simple_self_signed(vec!["ca".into()]).unwrap();
        let ca = certified.cert.pem().into_bytes();
        let key = SigningKey::generate().unwrap();
        assert!(
            Keys::read(&secret(&[(CA_CERT_KEY, ca.clone()), (SESSION_SIGNING_KEY, key.clone())]), 1).is_ok()
        );
        for (parts, message) in [
            (vec![(SESSION_SIGNING_KEY, key.clone())], "has no key ca.crt"),
            (vec![(CA_CERT_KEY, ca.clone())], "has no key session-signing.pk8"),
            (vec![(CA_CERT_KEY, ca), (SESSION_SIGNING_KEY, b"x".to_vec())], "cannot be read"),
            (vec![(CA_CERT_KEY, b"x".to_vec()), (SESSION_SIGNING_KEY, key)], "not a certificate"),
        ] {
            let error = Keys::read(&secret(&parts), 1).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
