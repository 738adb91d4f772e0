//! The bucket behind the test classes, seen from outside.

use anyhow::{Context, Result};
use bytes::Bytes;
use roost_store::{
    Adoption, Creation, Environment, Owner, TenantPath, TenantStore,
    object::{
        Condition, MAX_LIST_PAGE, ObjectStore,
        s3::{DEFAULT_TIMEOUT, S3Config, S3Credentials, S3Store},
    },
};
use std::{collections::BTreeMap, env, sync::Arc};

/// Largest object that a test reads whole, in bytes.
const MAX_OBJECT: u64 = 256 * 1024 * 1024;

/// The bucket, reached from this machine, with the address that pods use beside it.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Endpoint as pods reach it.
    pub cluster_endpoint: String,
    store: Arc<S3Store>,
}

impl Bucket {
    /// The bucket that the variables of `deploy/cluster/s3-up` name.
    pub fn from_env() -> Result<Self> {
        let variable =
            |name: &str| env::var(name).with_context(|| format!("{name} is not set: use tests/run"));
        let config = S3Config {
            bucket: variable("ROOST_S3_BUCKET")?,
            endpoint: Some(variable("ROOST_S3_NODE_ENDPOINT")?),
            region: variable("ROOST_S3_REGION")?,
            path_style: true,
            ca_pem: Some(std::fs::read_to_string(variable("ROOST_S3_CA_FILE")?)?),
            credentials: S3Credentials {
                access_key_id: variable("ROOST_S3_ACCESS_KEY_ID")?,
                secret_access_key: variable("ROOST_S3_SECRET_ACCESS_KEY")?,
                session_token: None,
            },
            timeout: DEFAULT_TIMEOUT,
        };
        let store = Arc::new(S3Store::new(&config)?);
        Ok(Self { name: config.bucket, cluster_endpoint: variable("ROOST_S3_ENDPOINT")?, store })
    }

    /// All keys below a prefix, in order.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let page = self.store.list(prefix, keys.last().map(String::as_str), MAX_LIST_PAGE).await?;
            keys.extend(page.objects.into_iter().map(|object| object.key));
            if !page.truncated {
                return Ok(keys);
            }
        }
    }

    /// One object's bytes.
    pub async fn read(&self, key: &str) -> Result<Bytes> {
        Ok(self.store.get(key, MAX_OBJECT).await.with_context(|| format!("object {key:?}"))?.bytes)
    }

    /// All objects below a prefix with their bytes.
    pub async fn contents(&self, prefix: &str) -> Result<BTreeMap<String, Bytes>> {
        let mut contents = BTreeMap::new();
        for key in self.keys(prefix).await? {
            let bytes = self.read(&key).await?;
            contents.insert(key, bytes);
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
