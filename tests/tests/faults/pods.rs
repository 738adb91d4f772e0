//! Pods that end otherwise than they should: killed, drained with their node.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{EvictParams, ListParams},
};
use roost_tests::{
    Ledger, Roost,
    cluster::{PATIENCE, SYSTEM_NAMESPACE},
    eventually,
    pod::signal,
};
use serde_json::json;

/// Pods that are killed one after the other.
const KILLS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_killed_gateway_replica_is_replaced_and_loses_no_acknowledged_row() -> Result<()> {
    let _cluster = crate::alone().await;
    let roost = Roost::connect().await?;
    let class = roost.class("gateway", "10m", |_| ()).await?;
    let shop = roost.namespace("gateway").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "acme", 4).await?;
    let pods: Api<Pod> = Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
    let gateways = ListParams::default().labels("app.kubernetes.io/name=roost-gateway");
    for gateway in pods.list(&gateways).await? {
        signal(&gateway.uid().context("no uid")?, "roost-gateway", "KILL")?;
        ledger.advances(20).await?;
        eventually("it runs again", PATIENCE, || async {
            let pod = pods.get(&gateway.name_any()).await.map_err(|error| error.to_string())?;
            let statuses = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
            if statuses.iter().all(|status| status.ready && status.restart_count > 0) {
                Ok(())
            } else {
                Err(format!("{statuses:?}"))
            }
        })
        .await?;
    }
    println!("{:?}", ledger.close().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_drained_node_loses_no_acknowledged_row() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let class = roost.class("drain", "10m", |_| ()).await?;
    let shop = roost.namespace("drain").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "acme", 2).await?;
    let pod = roost.pod_of(&uid).await?;
    // What `kubectl drain` does to each pod of a node.
    roost.pods().evict(&pod.name_any(), &EvictParams::default()).await?;
    eventually("another pod serves", PATIENCE, || async {
        let pods = roost.pods_of(&uid).await.map_err(|error| error.to_string())?;
        let others = pods.iter().filter(|other| other.uid() != pod.uid()).count();
        if others == 1 && pods.len() == 1 { Ok(()) } else { Err(format!("{} pods", pods.len())) }
    })
    .await?;
    ledger.advances(1).await?;
    println!("{:?}", ledger.close().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_pod_killed_under_load_loses_no_acknowledged_row() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let class = roost.class("crash", "10m", |_| ()).await?;
    let shop = roost.namespace("crash").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "acme", 4).await?;
    for _ in 0..KILLS {
        ledger.advances(20).await?;
        let pod = roost.pod_of(&uid).await?;
        signal(&pod.uid().context("no uid")?, "tenant-runtime", "KILL")?;
        eventually("another pod serves", PATIENCE, || async {
            let pods = roost.pods_of(&uid).await.map_err(|error| error.to_string())?;
            let others = pods.iter().filter(|other| other.uid() != pod.uid()).count();
            if others == 1 && pods.len() == 1 { Ok(()) } else { Err(format!("{} pods", pods.len())) }
        })
        .await?;
    }
    ledger.advances(20).await?;
    shop.condition("Tenant", "acme", "Ready", "True", Some("Serving")).await?;
    println!("{:?}", ledger.close().await?);
    Ok(())
}
