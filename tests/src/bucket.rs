//! The bucket behind the test classes, seen from outside.

use anyhow::{Context, Result};
use bytes::Bytes;
use roost_store::{
    Adoption, Creation, Environment, Owner, TenantPath, TenantStore,
    object::{
        Condition, Listed, MAX_LIST_PAGE, ObjectError, ObjectStore,
        s3::{DEFAULT_TIMEOUT, S3Config, S3Credentials, S3Store},
    },
};
use std::{collections::BTreeMap, env, sync::Arc};

/// Largest object that a test reads whole, in bytes.
const MAX_OBJECT: u64 = 256 * 1024 * 1024;

/// The bucket, reached from this machine, with the address that pods use beside it.
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Endpoint as pods reach it.
    pub cluster_endpoint: String,
    /// Endpoint as this machine and pods reach it.
    pub node_endpoint: String,
    /// The private CA of both.
    pub ca_pem: String,
    /// Two keys that open it, each an id and a secret.
    credentials: [(String, String); 2],
    store: Arc<S3Store>,
}

impl Bucket {
    /// The bucket that the variables of `deploy/cluster/s3-up` name.
    pub fn from_env() -> Result<Self> {
        let variable =
            |name: &str| env::var(name).with_context(|| format!("{name} is not set: use tests/run"));
        let credentials = [
            (variable("ROOST_S3_ACCESS_KEY_ID")?, variable("ROOST_S3_SECRET_ACCESS_KEY")?),
            (variable("ROOST_S3_OTHER_ACCESS_KEY_ID")?, variable("ROOST_S3_OTHER_SECRET_ACCESS_KEY")?),
        ];
        let node_endpoint = variable("ROOST_S3_NODE_ENDPOINT")?;
        let ca_pem = std::fs::read_to_string(variable("ROOST_S3_CA_FILE")?)?;
        let config = S3Config {
            bucket: variable("ROOST_S3_BUCKET")?,
            endpoint: Some(node_endpoint.clone()),
            region: variable("ROOST_S3_REGION")?,
            path_style: true,
            ca_pem: Some(ca_pem.clone()),
            credentials: S3Credentials {
                access_key_id: credentials[0].0.clone(),
                secret_access_key: credentials[0].1.clone(),
                session_token: None,
            },
            timeout: DEFAULT_TIMEOUT,
        };
        let store = Arc::new(S3Store::new(&config)?);
        let cluster_endpoint = variable("ROOST_S3_ENDPOINT")?;
        Ok(Self { name: config.bucket, cluster_endpoint, node_endpoint, ca_pem, credentials, store })
    }

    /// Two keys that open it, each an id and a secret.
    pub fn two_keys(&self) -> [(&str, &str); 2] {
        self.credentials.each_ref().map(|(id, secret)| (id.as_str(), secret.as_str()))
    }

    /// The bucket as Roost's own code reads it.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// All keys below a prefix, in order.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.listed(prefix).await?.into_iter().map(|object| object.key).collect())
    }

    /// Bytes of all objects below a prefix.
    pub async fn size(&self, prefix: &str) -> Result<u64> {
        Ok(self.listed(prefix).await?.iter().map(|object| object.size).sum())
    }

    async fn listed(&self, prefix: &str) -> Result<Vec<Listed>> {
        let mut listed: Vec<Listed> = Vec::new();
        loop {
            let after = listed.last().map(|object| object.key.as_str());
            let page = self.store.list(prefix, after, MAX_LIST_PAGE).await?;
            listed.extend(page.objects);
            if !page.truncated {
                return Ok(listed);
            }
        }
    }

    /// One object's bytes.
    pub async fn read(&self, key: &str) -> Result<Bytes> {
        Ok(self.store.get(key, MAX_OBJECT).await.with_context(|| format!("object {key:?}"))?.bytes)
    }

    /// All objects below a prefix with their bytes. Not those that the operator collects meanwhile, which it may at any
    /// time.
    pub async fn contents(&self, prefix: &str) -> Result<BTreeMap<String, Bytes>> {
        let mut contents = BTreeMap::new();
        for key in self.keys(prefix).await? {
            match self.store.get(&key, MAX_OBJECT).await {
                Ok(object) => drop(contents.insert(key, object.bytes)),
                Err(ObjectError::NotFound { .. }) => {}
                Err(error) => return Err(error).with_context(|| format!("object {key:?}")),
            }
        }
        Ok(contents)
    }

    /// Damages an object: puts other bytes in its place, as no part of Roost would.
    pub async fn overwrite(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let object = self.store.get(key, MAX_OBJECT).await?;
        self.store.put(key, bytes.into(), Condition::IfMatch(object.etag)).await?;
        Ok(())
    }

    /// Creates a tenant's data as the operator of another cluster would; returns its owner.
    pub async fn create_foreign_tenant(&self, prefix: &str, namespace: &str, tenant: &str) -> Result<Owner> {
        let uid = || uuid::Uuid::new_v4().to_string();
        let owner = Owner { cluster_id: uid(), namespace_uid: uid(), tenant_uid: uid() };
        let path = TenantPath::new(prefix, namespace, tenant)?;
        let store = TenantStore::new(self.store.clone(), path, owner.clone(), Environment::system());
        store.initialize(Creation::NewTenant, &Adoption::default()).await?;
        Ok(owner)
    }
}
