//! What was acknowledged is there, whatever became of the pod that said so.

use anyhow::{Result, ensure};
use kube::{Api, ResourceExt, api::DeleteParams};
use reqwest::StatusCode;
use roost_tests::{Answer, Roost, TestNamespace, cluster::PATIENCE, eventually};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Evictions that the writers live through.
const EVICTIONS: usize = 50;
const WRITERS: i64 = 3;

/// Inserts numbered rows until told to stop; returns the acknowledged numbers.
async fn write(shop: TestNamespace, writer: i64, halt: Arc<AtomicBool>) -> Result<Vec<i64>> {
    let mut acknowledged = Vec::new();
    let mut row = 0;
    while !halt.load(Ordering::Relaxed) {
        row += 1;
        let sql = format!("INSERT INTO ledger VALUES ({writer}, {row})");
        let answer = Answer::read(shop.post("acme", &shop.token, &json!({"sql": sql})).await?).await?;
        match answer.status {
            StatusCode::OK => acknowledged.push(row),
            // Nothing was executed, or nobody knows: neither may count as acknowledged.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => (),
            other => anyhow::bail!("{other}: {}", answer.body),
        }
    }
    Ok(acknowledged)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn fifty_evictions_lose_no_acknowledged_row() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("evict", "10m", |_| ()).await?;
    let shop = roost.namespace("evict").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE ledger (writer INT, row BIGINT)").await?;

    let halt = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS).map(|w| tokio::spawn(write(shop.clone(), w, halt.clone()))).collect();
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
    halt.store(true, Ordering::Relaxed);

    let mut total = 0;
    for (writer, task) in writers.into_iter().enumerate() {
        let acknowledged = task.await??;
        ensure!(!acknowledged.is_empty(), "writer {writer} never got through");
        let values = acknowledged.iter().map(|row| format!("({row})")).collect::<Vec<_>>().join(", ");
        let missing = format!(
            "SELECT count(*) FROM (VALUES {values}) a(row) WHERE NOT EXISTS \
             (SELECT 1 FROM ledger l WHERE l.writer = {writer} AND l.row = a.row)"
        );
        ensure!(
            shop.query("acme", &missing).await?.integer()? == 0,
            "writer {writer} lost acknowledged rows"
        );
        total += acknowledged.len();
    }
    let twice = "SELECT count(*) FROM (SELECT writer, row FROM ledger GROUP BY ALL HAVING count(*) > 1)";
    ensure!(shop.query("acme", twice).await?.integer()? == 0, "a row was written twice");
    println!("{total} acknowledged rows over {EVICTIONS} evictions, none lost");
    Ok(())
}
