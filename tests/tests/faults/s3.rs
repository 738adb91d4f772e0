//! The S3 server is slow, answers with errors, cuts bodies, loses answers, is away, is killed.

use anyhow::{Result, ensure};
use kube::{Api, ResourceExt, api::ListParams};
use roost_tests::{Ledger, Roost, S3Proxy, cluster::PATIENCE, eventually, pod::signal, s3_proxy::Fault};
use serde_json::json;
use std::time::Duration;

/// Evictions under each fault.
const EVICTIONS: usize = 2;
/// Time for which the S3 server is away: longer than a proof of ownership holds.
const AWAY: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_bad_s3_server_loses_no_acknowledged_row() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let proxy = S3Proxy::start(&roost).await?;
    let class = roost.class("bad-s3", "10m", proxy.through()).await?;
    let shop = roost.namespace("bad-s3").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "acme", 2).await?;
    for (fault, one_in) in [
        (Fault::Slow(Duration::from_secs(1)), 1),
        (Fault::Status(503), 2),
        (Fault::Status(500), 2),
        (Fault::Status(429), 2),
        (Fault::CutAnswer, 3),
        (Fault::LoseAnswer, 3),
        (Fault::Refuse, 2),
    ] {
        proxy.set(fault, one_in);
        for _ in 0..EVICTIONS {
            roost.evict(&uid).await?;
            shop.answers("acme", "SELECT 1", 1).await?;
        }
        ensure!(proxy.requests() > one_in, "{fault:?} never struck");
    }
    proxy.set(Fault::None, 1);
    roost.evict(&uid).await?;
    shop.answers("acme", "SELECT 1", 1).await?;
    println!("{:?}", ledger.close().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn an_s3_server_that_was_away_is_waited_for_and_told() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let proxy = S3Proxy::start(&roost).await?;
    let class = roost.class("away-s3", "10m", proxy.through()).await?;
    let shop = roost.namespace("away-s3").await?;
    shop.tenant("awake", json!({"className": class})).await?;
    shop.tenant("asleep", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "awake", 2).await?;

    proxy.set(Fault::Refuse, 1);
    let began = tokio::time::Instant::now();
    let problem = shop.query("asleep", "SELECT 1").await?.problem()?;
    ensure!(problem.code == roost_protocol::problem::ErrorCode::StorageUnreachable, "{problem}");
    // Nobody can say by now that no other pod took the branch over.
    eventually("answers are held back", PATIENCE, || async {
        let answer = shop.query("awake", "SELECT 1").await.map_err(|error| error.to_string())?;
        answer.problem().map(|problem| println!("{problem}")).map_err(|error| error.to_string())
    })
    .await?;
    tokio::time::sleep_until(began + AWAY).await;
    proxy.set(Fault::None, 1);
    for tenant in ["awake", "asleep"] {
        shop.answers(tenant, "SELECT 1", 1).await?;
    }
    println!("{:?}", ledger.close().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_killed_s3_server_loses_no_acknowledged_row() -> Result<()> {
    let _cluster = crate::alone().await;
    let roost = Roost::connect().await?;
    let class = roost.class("killed-s3", "10m", |_| ()).await?;
    let shop = roost.namespace("killed-s3").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "acme", 2).await?;
    let servers: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(roost.client.clone(), "roost-s3");
    for pod in servers.list(&ListParams::default()).await? {
        // It may not run just now.
        let _dead = signal(&pod.uid().unwrap_or_default(), "weed", "KILL");
    }
    roost.evict(&uid).await?;
    shop.answers("acme", "SELECT 1", 1).await?;
    println!("{:?}", ledger.close().await?);
    Ok(())
}
