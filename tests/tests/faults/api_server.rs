//! The API server is away for a minute.

use anyhow::{Context, Result, ensure};
use roost_store::{BranchName, Environment, Owner, TenantPath, TenantStore};
use roost_tests::{Ledger, Roost, cluster::PATIENCE, eventually};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Time for which the API server is away.
const AWAY: Duration = Duration::from_mins(1);
/// Longest time that the API server may take to stop or start.
const RESTART: Duration = Duration::from_mins(3);

/// The API server's static pod, out of the kubelet's sight until it is put back.
struct Stopped {
    manifest: PathBuf,
    aside: PathBuf,
}

impl Stopped {
    fn stop() -> Result<Self> {
        let kubeconfig = std::env::var("KUBECONFIG").context("KUBECONFIG is not set: use tests/run")?;
        let folder = Path::new(&kubeconfig).parent().context("KUBECONFIG has no folder")?.to_owned();
        let stopped = Self {
            manifest: folder.join("manifests/kube-apiserver.yaml"),
            aside: folder.join("kube-apiserver.yaml.aside"),
        };
        std::fs::rename(&stopped.manifest, &stopped.aside)?;
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _back = std::fs::rename(&self.aside, &self.manifest);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn without_an_api_server_queries_and_evictions_go_on() -> Result<()> {
    let _cluster = crate::alone().await;
    let roost = Roost::connect().await?;
    let class = roost.class("outage", "20s", |_| ()).await?;
    let shop = roost.namespace("outage").await?;
    shop.tenant("busy", json!({"className": class})).await?;
    let idle = shop.tenant("idle", json!({"className": class})).await?;
    let asleep = shop.tenant("asleep", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "busy", 2).await?;
    shop.run("asleep", "CREATE TABLE t AS SELECT 7 AS i").await?;
    shop.asleep(&asleep, PATIENCE).await?;
    // The gateway knows this caller's rights to it by now.
    shop.run("idle", "CREATE TABLE t AS SELECT 8 AS i").await?;
    ensure!(roost.pods_of(&idle).await?.len() == 1);

    let stopped = Stopped::stop()?;
    eventually("the API server is away", RESTART, || async {
        match roost.client.apiserver_version().await {
            Ok(_) => Err("it answers".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await?;
    let began = tokio::time::Instant::now();
    let before = ledger.acknowledged();
    let waking = tokio::spawn({
        let shop = shop.clone();
        async move { shop.query("asleep", "SELECT i FROM t").await }
    });
    ledger.advances(20).await?;
    sealed_in_the_bucket(&roost, &class, &shop.name, "idle").await?;
    tokio::time::sleep_until(began + AWAY).await;
    let during = ledger.acknowledged() - before;
    drop(stopped);
    eventually("the API server is back", RESTART, || async {
        roost.client.apiserver_version().await.map_err(|error| error.to_string())
    })
    .await?;

    let answer = waking.await??;
    match answer.problem() {
        Ok(problem) => println!("the wake was refused: {problem}"),
        Err(_) => ensure!(answer.integer()? == 7, "{}", answer.body),
    }
    for (tenant, value) in [("asleep", 7), ("idle", 8)] {
        shop.answers(tenant, "SELECT i FROM t", value).await?;
        shop.condition("Tenant", tenant, "Ready", "True", None).await?;
    }
    println!("{during} rows while it was away, {:?}", ledger.close().await?);
    Ok(())
}

/// Waits until the branch was sealed: the pod left by itself, though nobody could remove it.
async fn sealed_in_the_bucket(roost: &Roost, class: &str, namespace: &str, tenant: &str) -> Result<()> {
    let path = TenantPath::new(class, namespace, tenant)?;
    let anyone = Owner { cluster_id: String::new(), namespace_uid: String::new(), tenant_uid: String::new() };
    let store = TenantStore::new(roost.bucket.store(), path, anyone, Environment::system());
    eventually("the idle tenant is sealed", PATIENCE, || async {
        let head = store.head(&BranchName::main()).await.map_err(|error| error.to_string())?;
        if head.sealed { Ok(()) } else { Err(format!("{head:?}")) }
    })
    .await
}
