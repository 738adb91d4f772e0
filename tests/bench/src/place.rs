//! Where a benchmark takes place: a class and a namespace of its own, with tenants of chosen sizes.

use crate::embedded;
use anyhow::Result;
use roost_tests::{Roost, TestNamespace};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longest time that a tenant may take to fall asleep: publishing a large database comes before.
const SLEEP_PATIENCE: Duration = Duration::from_mins(5);

/// A namespace whose tenants share a class.
pub struct Place {
    /// The cluster.
    pub roost: Roost,
    /// The class, which is also the bucket's prefix.
    pub class: String,
    /// The namespace.
    pub shop: TestNamespace,
}

impl Place {
    /// A class whose tenants fall asleep after `idle`.
    pub async fn open(roost: &Roost, name: &str, idle: &str) -> Result<Self> {
        let class = roost
            .class(name, idle, |spec| {
                spec["runtime"]["resources"]["limits"]["memory"] = json!("3Gi");
                spec["runtime"]["cacheSize"] = json!("8Gi");
            })
            .await?;
        let shop = roost.namespace(name).await?;
        Ok(Self { roost: roost.clone(), class, shop })
    }

    /// An empty tenant; returns its UID.
    pub async fn tenant(&self, name: &str) -> Result<String> {
        self.shop.tenant(name, json!({"className": self.class})).await
    }

    /// A tenant whose database has about `bytes`, asleep; returns its UID.
    pub async fn filled_tenant(&self, name: &str, bytes: u64) -> Result<String> {
        let uid = self.tenant(name).await?;
        self.shop.run(name, &embedded::filling(bytes)).await?;
        self.asleep(&uid).await?;
        Ok(uid)
    }

    /// Waits until the tenant has no pod.
    pub async fn asleep(&self, uid: &str) -> Result<()> {
        self.shop.asleep(uid, SLEEP_PATIENCE).await
    }

    /// The prefix of a tenant's objects.
    pub fn prefix(&self, tenant: &str) -> String {
        format!("{}/tenants/{}/{tenant}/", self.class, self.shop.name)
    }

    /// Runs SQL and reads the whole answer in a format; returns its bytes and the time until the last one.
    pub async fn fetch(&self, tenant: &str, sql: &str, format: &str) -> Result<(u64, Duration)> {
        let body: Value = json!({"sql": sql, "format": format});
        let begun = Instant::now();
        let mut response = self.shop.post(tenant, &self.shop.token, &body).await?.error_for_status()?;
        let mut bytes = 0;
        while let Some(part) = response.chunk().await? {
            bytes += part.len() as u64;
        }
        Ok((bytes, begun.elapsed()))
    }
}

/// Milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Megabytes (10^6) of a number of bytes.
#[allow(clippy::cast_precision_loss, reason = "sizes in a report")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
