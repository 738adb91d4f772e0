//! Sources that data came from: kept data is found by the same source alone, a branch has what its tenant's script
//! made, and a snapshot that returns is no new one.

use anyhow::{Result, ensure};
use roost_tests::{Roost, cluster::PATIENCE, eventually, tenant::find_condition};
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn kept_data_is_not_passed_off_as_another_source() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("source", "10m", |_| ()).await?;
    let shop = roost.namespace("source").await?;
    shop.tenant("old", json!({"className": class})).await?;
    shop.run("old", "CREATE TABLE t AS SELECT 5 AS i").await?;
    shop.apply("Snapshot", "seed", json!({"tenantName": "old", "format": "Native"})).await?;
    shop.condition("Snapshot", "seed", "Ready", "True", None).await?;
    let script = |sql: &str| json!({"initScript": {"sql": sql}});
    let seed = json!({"snapshot": {"name": "seed"}});
    let made = [
        ("copied", seed.clone(), "snapshot seed of Tenant old"),
        ("scripted", script("CREATE TABLE t AS SELECT 5 AS i"), "initScript"),
        ("empty", Value::Null, "no source"),
    ];
    let spec = |source: &Value| {
        let mut spec = json!({"className": class});
        if !source.is_null() {
            spec["source"] = source.clone();
        }
        spec
    };
    for (name, source, _) in &made {
        let uid = shop.tenant(name, spec(source)).await?;
        shop.run(name, "CREATE TABLE IF NOT EXISTS t (i INT); INSERT INTO t VALUES (6)").await?;
        shop.delete("Tenant", name).await?;
        shop.asleep(&uid, PATIENCE).await?;
    }
    // The source itself is not needed again.
    shop.delete("Snapshot", "seed").await?;
    let others = [Value::Null, script("CREATE TABLE t AS SELECT 7 AS i"), seed];
    for (name, source, from) in &made {
        let prefix = format!("{class}/tenants/{}/{name}/", shop.name);
        let before = roost.bucket.contents(&prefix).await?;
        for other in others.iter().filter(|other| *other != source) {
            shop.apply("Tenant", name, spec(other)).await?;
            let refused = shop.condition("Tenant", name, "Ready", "False", Some("SourceDiffers")).await?;
            let message = find_condition(&refused, "Ready")["message"].to_string();
            ensure!(message.contains(from), "{name} as {other}: {message}");
            ensure!(roost.bucket.contents(&prefix).await? == before, "{name} as {other} changed something");
            shop.delete("Tenant", name).await?;
        }
        shop.tenant(name, spec(source)).await?;
        let sum = if source.is_null() { 6 } else { 11 };
        shop.answers(name, "SELECT sum(i) FROM t", sum).await?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_branch_waits_for_the_init_script_of_its_tenant() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("script", "10m", |_| ()).await?;
    let shop = roost.namespace("script").await?;
    let source = json!({"initScript": {"sql": "CREATE TABLE t AS SELECT 5 AS i"}});
    // In one go, as a GitOps tool applies them.
    shop.apply("Branch", "dev", json!({"tenantName": "acme"})).await?;
    shop.tenant("acme", json!({"className": class, "source": source})).await?;
    let waits = shop.condition("Branch", "dev", "Ready", "False", Some("SourceNotReady")).await?;
    ensure!(waits.data["status"]["position"].is_null(), "{}", waits.data["status"]);
    shop.run("acme", "SELECT 1").await?;
    shop.condition("Branch", "dev", "Ready", "True", None).await?;
    shop.answers("acme/branches/dev", "SELECT sum(i) FROM t", 5).await
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_snapshot_that_returns_says_so_and_keeps_its_time() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("returns", "10m", |_| ()).await?;
    let shop = roost.namespace("returns").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 5 AS i").await?;
    let mut completed = Vec::new();
    for format in ["Native", "Parquet"] {
        let name = format.to_lowercase();
        let spec = json!({"tenantName": "acme", "format": format});
        shop.apply("Snapshot", &name, spec.clone()).await?;
        let taken = shop.condition("Snapshot", &name, "Ready", "True", Some("Completed")).await?;
        shop.delete("Snapshot", &name).await?;
        shop.apply("Snapshot", &name, spec).await?;
        let again = shop.condition("Snapshot", &name, "Ready", "True", Some("Reattached")).await?;
        let message = find_condition(&again, "Ready")["message"].to_string();
        let time = &taken.data["status"]["completionTime"];
        ensure!(again.data["status"]["completionTime"] == *time, "{name}: {}", again.data["status"]);
        ensure!(message.contains("earlier Snapshot object"), "{name}: {message}");
        completed.push(time.as_str().unwrap_or_default().to_owned());
    }
    let latest = completed.iter().max().cloned().unwrap_or_default();
    eventually("the Tenant tells the time of its latest snapshot", PATIENCE, || async {
        let tenant = shop.api("Tenant").get("acme").await.map_err(|error| error.to_string())?;
        let told = &tenant.data["status"]["lastSnapshotTime"];
        if *told == latest { Ok(()) } else { Err(format!("{told}, not {latest}")) }
    })
    .await
}
