//! Pods that use up what their class gives them: memory, and the cache volume.

use anyhow::{Result, ensure};
use kube::{ResourceExt, api::EvictParams};
use roost_tests::{Roost, cluster::PATIENCE, eventually};
use serde_json::json;

/// Transactions that together are more than the cache volume holds.
const BATCHES: i64 = 12;
/// Rows of each: 8 MB.
const ROWS: i64 = 1_000_000;

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
async fn a_database_may_be_larger_than_its_cache_volume_and_a_transaction_may_not() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let class = roost.class("full", "10m", |spec| spec["runtime"]["cacheSize"] = json!("64Mi")).await?;
    let shop = roost.namespace("full").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    // What queries spill has a bound of its own.
    let spill = shop.query("acme", "SELECT current_setting('max_temp_directory_size')").await?;
    ensure!(spill.body.to_string().contains("32.0 MiB"), "{}", spill.body);
    shop.run("acme", "CREATE TABLE t (i BIGINT, h UBIGINT)").await?;
    let pod = roost.pod_of(&uid).await?;
    for batch in 0..BATCHES {
        // Refused while what came before is on its way into the bucket: then it comes again.
        let insert = format!("INSERT INTO t SELECT {batch}, hash(r) FROM range({ROWS}) r(r)");
        eventually("a batch is taken", PATIENCE, || async {
            shop.run("acme", &insert).await.map(drop).map_err(|error| format!("{error:#}"))
        })
        .await?;
    }
    shop.answers("acme", "SELECT count(*) FROM t", BATCHES * ROWS).await?;
    // Every byte of it, from a cache that cannot hold it.
    let sum = format!("SELECT count(*) FROM (SELECT h FROM t GROUP BY h HAVING count(*) = {BATCHES})");
    shop.answers("acme", &sum, ROWS).await?;
    ensure!(roost.pod_of(&uid).await?.uid() == pod.uid(), "the pod was ended");

    // More than the cache in one transaction is refused, and told; nothing of it is kept.
    let huge = format!("CREATE TABLE u AS SELECT r AS i, hash(r) AS h FROM range({}) r(r)", BATCHES * ROWS);
    let refused = shop.query("acme", &huge).await?.problem()?;
    ensure!(refused.to_string().contains("runtime.cacheSize"), "{refused}");
    shop.answers("acme", "SELECT count(*) FROM t", BATCHES * ROWS).await?;
    roost.change_class(&class, &json!({"runtime": {"cacheSize": "1Gi"}})).await?;
    roost.pods().evict(&pod.name_any(), &EvictParams::default()).await?;
    shop.asleep(&uid, PATIENCE).await?;
    eventually("the transaction fits", PATIENCE, || async {
        shop.run("acme", &huge).await.map(drop).map_err(|error| format!("{error:#}"))
    })
    .await?;
    shop.answers("acme", "SELECT count(*) FROM u", BATCHES * ROWS).await?;
    shop.verified("acme").await?;
    Ok(())
}
