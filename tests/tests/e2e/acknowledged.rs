//! Rows that were acknowledged are there, whatever became of the pod that said so.

use anyhow::Result;
use kube::{Api, ResourceExt, api::DeleteParams};
use roost_tests::{Ledger, Roost, cluster::PATIENCE, eventually};
use serde_json::json;

/// Evictions that the writers live through.
const EVICTIONS: usize = 50;
const WRITERS: i64 = 3;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn fifty_evictions_lose_no_acknowledged_row() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("evict", "10m", |_| ()).await?;
    let shop = roost.namespace("evict").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "acme", WRITERS).await?;

    let pods: Api<_> = roost.pods();
    let mut last = String::new();
    for eviction in 0..EVICTIONS {
        // SIGTERM is what a drained node, a rollout or an idle timeout come to: drain, publish, seal, exit.
        let pod = eventually(&format!("serving pod for eviction {eviction}"), PATIENCE, || async {
            let found = roost.pods_of(&uid).await.map_err(|error| error.to_string())?;
            let fresh = found.into_iter().find(|pod| {
                pod.uid().unwrap_or_default() != last
                    && pod.metadata.deletion_timestamp.is_none()
                    && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            });
            fresh.ok_or_else(|| "no fresh pod".to_owned())
        })
        .await?;
        last = pod.uid().unwrap_or_default();
        // At least one row goes through this pod before it is evicted.
        shop.run("acme", &format!("INSERT INTO ledger VALUES (-1, {eviction})")).await?;
        pods.delete(&pod.name_any(), &DeleteParams::default()).await?;
    }
    let summary = ledger.close().await?;
    println!("{} acknowledged rows over {EVICTIONS} evictions, none lost", summary.acknowledged);
    Ok(())
}
