//! Clients of buckets, made of what the Secrets of the operator's namespace hold.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use roost_crds::{Encryption, names as crd};
use roost_protocol::{grant, secret};
use roost_store::{ClassKeys, Environment, ObjectStore, S3Config, S3ConfigError, S3Store};

use super::{OpenError, Place};

/// Clients kept, one for each place and key; building one reads the system's roots.
const MAX_CLIENTS: u64 = 256;
/// Time for which an unused client is kept.
const CLIENT_IDLE: Duration = Duration::from_mins(10);

/// Clients of the buckets, by place.
pub struct Buckets {
    pub(super) environment: Environment,
    secrets: Api<Secret>,
    clients: moka::future::Cache<blake3::Hash, Arc<S3Store>>,
}

impl Buckets {
    /// Reads Secrets of `namespace`.
    pub fn new(client: Client, namespace: &str, environment: Environment) -> Self {
        let clients =
            moka::future::Cache::builder().max_capacity(MAX_CLIENTS).time_to_idle(CLIENT_IDLE).build();
        Self { environment, secrets: Api::namespaced(client, namespace), clients }
    }

    /// Everything needed to reach a place, as a grant carries it, with the versions of the Secrets that it is from.
    pub async fn resolve(&self, place: &Place) -> Result<(grant::StorageLocation, String), OpenError> {
        const KEYS: &str = "accessKeyID and secretAccessKey";
        let credentials = self.secret(&place.credentials_secret, KEYS).await?;
        let mut version = credentials.metadata.resource_version.clone().unwrap_or_default();
        let ca_pem = match &place.ca_secret {
            None => None,
            Some(name) => {
                let secret = self.secret(name, crd::CA_CERTIFICATE).await?;
                version =
                    format!("{version} {}", secret.metadata.resource_version.as_deref().unwrap_or_default());
                Some(required(&secret, name, crd::CA_CERTIFICATE)?)
            }
        };
        let name = &place.credentials_secret;
        let location = grant::StorageLocation {
            bucket: place.bucket.clone(),
            prefix: place.prefix.clone(),
            endpoint: place.endpoint.clone(),
            region: place.region.clone(),
            path_style: place.path_style,
            ca_pem,
            access_key_id: secret::Secret::new(required(&credentials, name, crd::ACCESS_KEY_ID)?),
            secret_access_key: secret::Secret::new(required(&credentials, name, crd::SECRET_ACCESS_KEY)?),
            session_token: text(&credentials, crd::SESSION_TOKEN).map(secret::Secret::new),
        };
        Ok((location, version))
    }

    /// The keys of a class, with the version of the Secret that they are from; none if it does not encrypt.
    pub async fn class_keys(
        &self,
        encryption: Option<&Encryption>,
    ) -> Result<Option<(Arc<ClassKeys>, String)>, OpenError> {
        let Some(Encryption { secret_ref, key_name }) = encryption else { return Ok(None) };
        let secret = self.secret(&secret_ref.name, "that spec.encryption.keyName names").await?;
        let texts: Vec<_> = secret.data.iter().flatten().map(|(name, bytes)| (name, &bytes.0)).collect();
        let texts = texts.iter().map(|(name, bytes)| {
            // What is no text is no key, and named as such.
            (name.as_str(), std::str::from_utf8(bytes).unwrap_or_default())
        });
        let keys = ClassKeys::new(key_name, texts);
        let keys = keys.map_err(|cause| OpenError::Keys { name: secret_ref.name.clone(), cause })?;
        Ok(Some((Arc::new(keys), secret.metadata.resource_version.clone().unwrap_or_default())))
    }

    /// The bucket of a place.
    pub async fn open(&self, place: &Place) -> Result<Arc<dyn ObjectStore>, OpenError> {
        let (location, _version) = self.resolve(place).await?;
        Ok(self.client(&location).await?)
    }

    /// The bucket of a resolved place.
    #[allow(clippy::disallowed_methods, reason = "reading certificates blocks")]
    pub async fn client(
        &self,
        location: &grant::StorageLocation,
    ) -> Result<Arc<dyn ObjectStore>, Arc<S3ConfigError>> {
        let config = S3Config::of(location);
        // Only the hash is kept as the key: the cache holds no second copy of the secret.
        let key = blake3::hash(&serde_json::to_vec(&config).unwrap_or_default());
        let make = async move {
            match tokio::task::spawn_blocking(move || S3Store::new(&config)).await {
                Ok(store) => store.map(Arc::new),
                Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
            }
        };
        let store: Arc<dyn ObjectStore> = self.clients.try_get_with(key, make).await?;
        Ok(store)
    }

    async fn secret(&self, name: &str, keys: &'static str) -> Result<Secret, OpenError> {
        let found = self.secrets.get_opt(name).await?;
        found.ok_or_else(|| OpenError::SecretNotFound { name: name.to_owned(), keys })
    }
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    let text = std::str::from_utf8(bytes).ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn required(secret: &Secret, name: &str, key: &'static str) -> Result<String, OpenError> {
    text(secret, key).ok_or_else(|| OpenError::SecretInvalid { name: name.to_owned(), key })
}
