//! The ceiling of a class: it holds, it says so, and idle tenants make room.

use anyhow::{Result, ensure};
use kube::ResourceExt as _;
use roost_tests::{Roost, cluster::PATIENCE};
use serde_json::json;

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_wake_waits_for_a_place_says_so_and_gets_it() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost
        .class("ceiling", "10m", |spec| {
            spec["limits"]["active"] = json!(1);
            // Nobody may be asked to make room within this test.
            spec["idle"]["min"] = json!("10m");
        })
        .await?;
    let shop = roost.namespace("ceiling").await?;
    let first = shop.tenant("first", json!({"className": class})).await?;
    let second = shop.tenant("second", json!({"className": class})).await?;
    shop.run("first", "CREATE TABLE t AS SELECT 1 AS i").await?;
    let serving = roost.pods_of(&first).await?;

    let waiting = tokio::spawn({
        let shop = shop.clone();
        async move { shop.query("second", "SELECT 1").await }
    });
    shop.condition("Tenant", "second", "Available", "False", Some("CeilingReached")).await?;
    ensure!(!waiting.is_finished(), "it did not wait: {:?}", waiting.await?);
    ensure!(roost.pods_of(&second).await?.is_empty(), "a pod above the ceiling");
    let still = roost.pods_of(&first).await?;
    ensure!(
        still.len() == 1
            && still[0].uid() == serving[0].uid()
            && still[0].metadata.deletion_timestamp.is_none(),
        "a tenant was put to sleep sooner than its class allows"
    );

    shop.apply("Tenant", "first", json!({"className": class, "operatingMode": "Suspended"})).await?;
    shop.asleep(&first, PATIENCE).await?;
    ensure!(waiting.await??.integer()? == 1, "the one that waited got another answer");
    shop.condition("Tenant", "second", "Available", "True", Some("Serving")).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn two_idle_tenants_share_one_place_and_lose_nothing() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("room", "10m", |spec| spec["limits"]["active"] = json!(1)).await?;
    let shop = roost.namespace("room").await?;
    let tenants = ["left", "right"];
    let mut uids = Vec::new();
    for tenant in tenants {
        uids.push(shop.tenant(tenant, json!({"className": class})).await?);
        shop.run(tenant, "CREATE TABLE turns (i INT)").await?;
    }
    for turn in 1..=2 {
        for tenant in tenants {
            shop.run(tenant, &format!("INSERT INTO turns VALUES ({turn})")).await?;
            ensure!(
                shop.query(tenant, "SELECT count(*) FROM turns").await?.integer()? == turn,
                "{tenant} lost an acknowledged row before turn {turn}"
            );
            let mut serving = 0;
            for uid in &uids {
                serving += roost.pods_of(uid).await?.len();
            }
            ensure!(serving == 1, "{serving} pods where one may be");
        }
    }
    Ok(())
}
