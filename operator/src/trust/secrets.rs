//! The two Secrets of keys that Roost's processes share, made once by the elected replica.
//!
//! `roost-internal-ca` holds everything and is created whole or not at all; `roost-gateway-keys` is derived from it,
//! so a crash between the two leaves nothing inconsistent.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ObjectMeta, PostParams},
};
use roost_protocol::{
    names::{
        CA_CERT_KEY, CA_PRIVATE_KEY, GATEWAY_KEYS_SECRET, GRANT_SIGNING_KEY, INTERNAL_CA_SECRET,
        SESSION_SIGNING_KEY, SESSION_VERIFYING_KEY,
    },
    signing::{SigningError, SigningKey, VerifyingKey},
};

use super::authority::{Authority, AuthorityError, new_authority};

/// Keys could not be made, read or stored.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The API server refused or did not answer.
    #[error("the API server failed on Secret {name}: {source}")]
    Api {
        /// Which Secret.
        name: &'static str,
        /// Why.
        source: kube::Error,
    },
    /// A Secret lacks a key.
    #[error(
        "Secret {name} lacks the key {key}: delete the Secret, so that it is made again, and restart Roost"
    )]
    Incomplete {
        /// Which Secret.
        name: &'static str,
        /// Which key.
        key: &'static str,
    },
    /// A signing key cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Everything that the operator signs and verifies with.
pub struct Trust {
    /// Signs certificates.
    pub authority: Authority,
    /// Signs grants and commands.
    pub signing: SigningKey,
    /// The key by which runtimes accept session tokens.
    pub session_key: VerifyingKey,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("grants", &self.signing.verifying_key()).finish_non_exhaustive()
    }
}

type Keys = BTreeMap<String, ByteString>;

/// Contents of a new `roost-internal-ca`.
pub fn new_keys(now: Timestamp) -> Result<Keys, TrustError> {
    let authority = new_authority(now)?;
    let session = SigningKey::generate()?;
    let verifying = SigningKey::from_pkcs8(&session)?.verifying_key().to_string();
    Ok([
        (CA_CERT_KEY, authority.certificate.into_bytes()),
        (CA_PRIVATE_KEY, authority.key.into_bytes()),
        (GRANT_SIGNING_KEY, SigningKey::generate()?),
        (SESSION_SIGNING_KEY, session),
        (SESSION_VERIFYING_KEY, verifying.into_bytes()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), ByteString(value)))
    .collect())
}

/// The part of them that the gateway may hold.
pub fn gateway_keys(keys: &Keys) -> Result<Keys, TrustError> {
    [CA_CERT_KEY, SESSION_SIGNING_KEY]
        .into_iter()
        .map(|key| Ok((key.to_owned(), ByteString(value(keys, key)?.to_vec()))))
        .collect()
}

fn value<'a>(keys: &'a Keys, key: &'static str) -> Result<&'a [u8], TrustError> {
    keys.get(key)
        .map(|bytes| bytes.0.as_slice())
        .ok_or(TrustError::Incomplete { name: INTERNAL_CA_SECRET, key })
}

fn text<'a>(keys: &'a Keys, key: &'static str) -> Result<&'a str, TrustError> {
    std::str::from_utf8(value(keys, key)?)
        .map_err(|_| TrustError::Incomplete { name: INTERNAL_CA_SECRET, key })
}

impl Trust {
    /// Reads the contents of `roost-internal-ca`.
    pub fn from_keys(keys: &Keys) -> Result<Self, TrustError> {
        Ok(Self {
            authority: Authority::from_pem(text(keys, CA_CERT_KEY)?, text(keys, CA_PRIVATE_KEY)?)?,
            signing: SigningKey::from_pkcs8(value(keys, GRANT_SIGNING_KEY)?)?,
            session_key: text(keys, SESSION_VERIFYING_KEY)?.parse()?,
        })
    }
}

/// Reads the Secret; none while the elected replica has not made it.
pub async fn load(client: &Client, namespace: &str) -> Result<Option<Arc<Trust>>, TrustError> {
    let Some(secret) = get(client, namespace, INTERNAL_CA_SECRET).await? else { return Ok(None) };
    Trust::from_keys(&secret.data.unwrap_or_default()).map(|trust| Some(Arc::new(trust)))
}

/// Makes what is absent. Only the elected replica calls this; a race is settled by the API server.
pub async fn ensure(client: &Client, namespace: &str, now: Timestamp) -> Result<(), TrustError> {
    let internal = match get(client, namespace, INTERNAL_CA_SECRET).await? {
        Some(secret) => secret,
        None => create(client, namespace, INTERNAL_CA_SECRET, new_keys(now)?).await?,
    };
    let wanted = gateway_keys(&internal.data.unwrap_or_default())?;
    let gateway = match get(client, namespace, GATEWAY_KEYS_SECRET).await? {
        Some(secret) => secret,
        None => create(client, namespace, GATEWAY_KEYS_SECRET, wanted.clone()).await?,
    };
    if gateway.data.as_ref() == Some(&wanted) {
        return Ok(());
    }
    let name = GATEWAY_KEYS_SECRET;
    tracing::warn!(secret = name, "does not match the internal CA; written again");
    let mut gateway = gateway;
    gateway.data = Some(wanted);
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    api.replace(&gateway.name_any(), &PostParams::default(), &gateway)
        .await
        .map(drop)
        .map_err(|source| TrustError::Api { name, source })
}

async fn get(client: &Client, namespace: &str, name: &'static str) -> Result<Option<Secret>, TrustError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await.map_err(|source| TrustError::Api { name, source })
}

async fn create(
    client: &Client,
    namespace: &str,
    name: &'static str,
    keys: Keys,
) -> Result<Secret, TrustError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let labels = [(roost_crds::names::MANAGED_BY_LABEL.to_owned(), roost_crds::names::MANAGED_BY.to_owned())];
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        data: Some(keys),
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    match api.create(&PostParams::default(), &secret).await {
        Ok(secret) => Ok(secret),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            api.get(name).await.map_err(|source| TrustError::Api { name, source })
        }
        Err(source) => Err(TrustError::Api { name, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_keys_are_complete_and_the_gateway_gets_only_its_own() {
        let keys = new_keys(Timestamp::UNIX_EPOCH).unwrap();
        let trust = Trust::from_keys(&keys).unwrap();
        let gateway = gateway_keys(&keys).unwrap();
        assert_eq!(gateway.keys().collect::<Vec<_>>(), [CA_CERT_KEY, SESSION_SIGNING_KEY]);
        let session = SigningKey::from_pkcs8(&gateway[SESSION_SIGNING_KEY].0).unwrap();
        assert_eq!(session.verifying_key(), trust.session_key);
        assert_ne!(trust.signing.verifying_key(), trust.session_key);
    }

    #[test]
    fn a_missing_key_is_named() {
        let mut keys = new_keys(Timestamp::UNIX_EPOCH).unwrap();
        keys.remove(GRANT_SIGNING_KEY);
        let error = Trust::from_keys(&keys).unwrap_err().to_string();
        assert!(error.contains(GRANT_SIGNING_KEY) && error.contains("delete the Secret"), "{error}");
    }
}
