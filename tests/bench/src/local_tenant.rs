//! A tenant of nobody's cluster, served by this process from the cluster's bucket: figures without Kubernetes.

use crate::{far::Far, life::Life, local_file::LocalFile};
use anyhow::Result;
use roost_protocol::durability::Durability;
use roost_store::{
    BranchName, Environment, Holder, ObjectStore, OwnedBranch, Owner, Takeover, TenantPath, TenantStore,
    object::fault::{FaultStore, Faults},
};
use roost_tests::{Roost, cluster::random_suffix};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

/// Where it is under its prefix.
const NAMESPACE: &str = "bench";
const TENANT: &str = "local";

/// A tenant, and a folder for the caches of those who serve it.
pub struct LocalTenant {
    /// The prefix of its objects, and of nobody else's.
    pub prefix: String,
    /// The bucket, as far away as it is from the tenant.
    pub bucket: Arc<dyn ObjectStore>,
    owner: Owner,
    disk: tempfile::TempDir,
    lives: AtomicU32,
}

impl LocalTenant {
    /// An empty one.
    pub async fn new(roost: &Roost, name: &str) -> Result<Self> {
        let prefix = format!("{name}-{}", random_suffix());
        let owner = roost.bucket.create_foreign_tenant(&prefix, NAMESPACE, TENANT).await?;
        let disk = tempfile::tempdir()?;
        Ok(Self { prefix, bucket: roost.bucket.store(), owner, disk, lives: AtomicU32::new(0) })
    }

    /// The same tenant, whose bucket is that much further away.
    pub fn further(self, by: Duration) -> Self {
        Self { bucket: Arc::new(Far { bucket: self.bucket, by }), ..self }
    }

    /// One whose published state is this file; asleep.
    pub async fn from_file(roost: &Roost, name: &str, file: &Path) -> Result<Self> {
        let tenant = Self::new(roost, name).await?;
        let first = tenant.take_over().await?;
        first.publish(&LocalFile::new(file)?).await?;
        first.relinquish().await?;
        Ok(tenant)
    }

    /// Its main branch, taken over.
    pub async fn take_over(&self) -> Result<Arc<OwnedBranch>> {
        let holder = Holder { name: "bench".into(), id: random_suffix() };
        Ok(self.store()?.branch(&BranchName::main()).take_over(&holder, Takeover::OnlySealed).await?)
    }

    /// All its objects below this folder of its own.
    pub fn below(&self, folder: &str) -> String {
        format!("{}/tenants/{NAMESPACE}/{TENANT}/{folder}", self.prefix)
    }

    /// Its prefix in the bucket, through a client that counts requests.
    pub fn counted(&self) -> Result<(TenantStore, Arc<FaultStore>)> {
        let counting = Arc::new(FaultStore::new(Arc::clone(&self.bucket), 0, Faults::default(), None));
        let path = TenantPath::new(&self.prefix, NAMESPACE, TENANT)?;
        let store = TenantStore::new(counting.clone(), path, self.owner.clone(), Environment::system());
        Ok((store, counting))
    }

    /// Its prefix in the bucket.
    pub fn store(&self) -> Result<TenantStore> {
        Ok(self.counted()?.0)
    }

    /// A folder that is not there yet.
    pub fn cache(&self) -> PathBuf {
        self.disk.path().join(self.lives.fetch_add(1, Relaxed).to_string())
    }

    /// Serves it.
    pub async fn open(&self, durability: Durability) -> Result<Life> {
        Life::open(&self.store()?, &self.cache(), durability).await.map_err(anyhow::Error::msg)
    }
}
