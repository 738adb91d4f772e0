//! Pods that use up what their class gives them: memory, and the cache volume.

use anyhow::{Result, ensure};
use kube::ResourceExt;
use roost_tests::Roost;
use serde_json::json;
use std::time::Duration;

/// How long the kubelet may take to see that a volume is too full, and to end its pod.
const EVICTION: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_pod_that_ran_out_of_memory_is_replaced_and_loses_nothing() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let class = roost
        .class("oom", "10m", |spec| {
            spec["runtime"]["resources"] =
                json!({"requests": {"memory": "320Mi"}, "limits": {"memory": "320Mi"}});
        })
        .await?;
    let shop = roost.namespace("oom").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 42 AS i").await?;
    let pod = roost.pod_of(&uid).await?;
    // One value that the engine's memory limit does not count.
    let answer = shop.query("acme", "SELECT length(repeat('x', 1000000000))").await?;
    println!("{}", answer.problem()?);
    shop.answers("acme", "SELECT i FROM t", 42).await?;
    let again = roost.pods_of(&uid).await?;
    ensure!(again.iter().all(|again| again.uid() != pod.uid()), "the pod survived");
    roost.event(&shop.name, "PodFailed", "memory").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_database_that_outgrows_its_cache_volume_is_told_and_lost_nothing() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let class = roost.class("full", "10m", |spec| spec["runtime"]["cacheSize"] = json!("48Mi")).await?;
    let shop = roost.namespace("full").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    // What queries spill has a bound of its own.
    let spill = shop.query("acme", "SELECT current_setting('max_temp_directory_size')").await?;
    ensure!(spill.body.to_string().contains("24.0 MiB"), "{}", spill.body);
    let grow = "CREATE TABLE t AS SELECT 42 AS i, hash(r) AS h FROM range(8000000) t(r)";
    shop.run("acme", grow).await?;
    // The kubelet ends the pod: it is told, and nothing is lost.
    roost.event(&shop.name, "CacheFull", "50331648 bytes").await?;
    shop.asleep(&uid, EVICTION).await?;
    roost.change_class(&class, &json!({"runtime": {"cacheSize": "1Gi"}})).await?;
    shop.answers("acme", "SELECT i FROM t LIMIT 1", 42).await?;
    shop.condition("Tenant", "acme", "Ready", "True", Some("Serving")).await?;
    Ok(())
}
