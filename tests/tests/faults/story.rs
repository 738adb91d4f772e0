//! Stories: what the operator does for a tenant, from a user's wish until all of it came true.

use anyhow::{Result, ensure};
use roost_tests::{TestNamespace, cluster::PATIENCE, eventually};
use serde_json::json;

/// A wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// A query of a sleeping tenant.
    Wake,
    /// A serving tenant is suspended, and runs again.
    Eviction,
    /// A branch of a serving tenant.
    Branch,
    /// A snapshot inside the bucket.
    NativeSnapshot,
    /// A snapshot as Parquet files, by a worker pod.
    ParquetSnapshot,
    /// A serving tenant is deleted with its data.
    Deletion,
}

impl Story {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Wake,
        Self::Eviction,
        Self::Branch,
        Self::NativeSnapshot,
        Self::ParquetSnapshot,
        Self::Deletion,
    ];

    /// A tenant as the story finds it; returns its UID.
    pub async fn prepare(self, shop: &TestNamespace, class: &str, tenant: &str) -> Result<String> {
        let spec = json!({"className": class, "deletionPolicy": "Delete"});
        let uid = shop.tenant(tenant, spec).await?;
        if self != Self::Wake {
            shop.run(tenant, "CREATE TABLE t AS SELECT 42 AS i").await?;
        }
        Ok(uid)
    }

    /// Tells the wish, and waits until it came true.
    pub async fn play(self, shop: TestNamespace, class: String, tenant: String, uid: String) -> Result<()> {
        let spec =
            |mode: &str| json!({"className": class, "deletionPolicy": "Delete", "operatingMode": mode});
        match self {
            Self::Wake => {
                shop.answers(&tenant, "SELECT 42", 42).await?;
                serving_pods(&shop, &uid, 1).await?;
                shop.condition("Tenant", &tenant, "Available", "True", Some("Serving")).await?;
            }
            Self::Eviction => {
                shop.apply("Tenant", &tenant, spec("Suspended")).await?;
                shop.asleep(&uid, PATIENCE).await?;
                shop.condition("Tenant", &tenant, "Available", "False", Some("Suspended")).await?;
                shop.apply("Tenant", &tenant, spec("Running")).await?;
                shop.answers(&tenant, "SELECT i FROM t", 42).await?;
            }
            Self::Branch => {
                let branch = format!("{tenant}-dev");
                let spec = json!({"tenantName": tenant, "branchName": "dev", "deletionPolicy": "Delete"});
                shop.apply("Branch", &branch, spec).await?;
                shop.condition("Branch", &branch, "Ready", "True", None).await?;
                shop.answers(&format!("{tenant}/branches/dev"), "SELECT i FROM t", 42).await?;
                serving_pods(&shop, &uid, 2).await?;
            }
            Self::NativeSnapshot | Self::ParquetSnapshot => {
                let format = if self == Self::NativeSnapshot { "Native" } else { "Parquet" };
                let spec = json!({"tenantName": tenant, "format": format, "deletionPolicy": "Delete"});
                shop.apply("Snapshot", &tenant, spec).await?;
                shop.condition("Snapshot", &tenant, "Ready", "True", None).await?;
                serving_pods(&shop, &uid, 1).await?;
            }
            Self::Deletion => {
                shop.delete("Tenant", &tenant).await?;
                shop.asleep(&uid, PATIENCE).await?;
            }
        }
        Ok(())
    }

    /// Checks that what came true is still true.
    pub async fn holds(self, shop: &TestNamespace, class: &str, tenant: &str, uid: &str) -> Result<()> {
        match self {
            Self::Deletion => {
                ensure!(shop.roost.pods_of(uid).await?.is_empty(), "a deleted tenant has a pod");
                let keys =
                    shop.roost.bucket.keys(&format!("{class}/tenants/{}/{tenant}/", shop.name)).await?;
                ensure!(keys.is_empty(), "a deleted tenant has {keys:?}");
                Ok(())
            }
            Self::Wake => shop.answers(tenant, "SELECT 42", 42).await,
            Self::Branch => shop.answers(&format!("{tenant}/branches/dev"), "SELECT i FROM t", 42).await,
            Self::Eviction | Self::NativeSnapshot | Self::ParquetSnapshot => {
                shop.answers(tenant, "SELECT i FROM t", 42).await
            }
        }
    }

    /// Removes everything, as its user would.
    pub async fn clear(self, shop: &TestNamespace, class: &str, tenant: &str, uid: &str) -> Result<()> {
        match self {
            Self::Branch => shop.delete("Branch", &format!("{tenant}-dev")).await?,
            Self::NativeSnapshot | Self::ParquetSnapshot => shop.delete("Snapshot", tenant).await?,
            Self::Wake | Self::Eviction | Self::Deletion => {}
        }
        if self != Self::Deletion {
            shop.delete("Tenant", tenant).await?;
            shop.asleep(uid, PATIENCE).await?;
        }
        let left = shop.roost.bucket.keys(&format!("{class}/")).await?;
        let mut left = left.into_iter().filter(|key| key.contains(&format!("/{tenant}/")));
        ensure!(left.next().is_none(), "{:?} is left of {tenant}", left.collect::<Vec<_>>());
        Ok(())
    }
}

/// Waits for the tenant's pods to be just so many, none of them ended.
async fn serving_pods(shop: &TestNamespace, uid: &str, count: usize) -> Result<()> {
    eventually(&format!("{count} pods of {uid}"), PATIENCE, || async {
        let pods = shop.roost.pods_of(uid).await.map_err(|error| error.to_string())?;
        let phases: Vec<_> =
            pods.iter().map(|pod| pod.status.clone().and_then(|status| status.phase)).collect();
        let running = phases.iter().all(|phase| phase.as_deref() == Some("Running"));
        if running && pods.len() == count { Ok(()) } else { Err(format!("{phases:?}")) }
    })
    .await
}
