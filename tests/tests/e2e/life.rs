//! A tenant's life: applied, woken by its first query, snapshotted, branched, evicted when idle, woken with its data.

use anyhow::{Result, ensure};
use roost_tests::{Roost, cluster::PATIENCE};
use serde_json::json;

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_tenant_lives_its_whole_life() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("life", "4s", |_| ()).await?;
    let shop = roost.namespace("life").await?;

    // Applied: ready and available, without a pod.
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.condition("Tenant", "acme", "Available", "True", Some("Idle")).await?;
    ensure!(roost.pods_of(&uid).await?.is_empty(), "an idle tenant has a pod");

    // Woken by its first query.
    shop.run("acme", "CREATE TABLE orders (id BIGINT PRIMARY KEY, item VARCHAR)").await?;
    shop.run("acme", "INSERT INTO orders SELECT i, 'item ' || i FROM range(1000) r(i)").await?;
    ensure!(shop.query("acme", "SELECT count(*) FROM orders").await?.integer()? == 1000);

    // Snapshotted to Parquet, while it serves, with what was committed before; also with an index and a key over rows.
    shop.run("acme", "CREATE INDEX by_item ON orders (item)").await?;
    shop.run("acme", "CREATE TABLE item AS SELECT DISTINCT item FROM orders").await?;
    shop.run("acme", "ALTER TABLE item ADD PRIMARY KEY (item)").await?;
    shop.apply("Snapshot", "first", json!({"tenantName": "acme", "format": "Parquet"})).await?;
    let snapshot = shop.condition("Snapshot", "first", "Ready", "True", None).await?;
    ensure!(snapshot.data["status"]["rowCount"] == 2000, "{}", snapshot.data["status"]);
    let folder = format!("{class}/snapshots/{}/acme/first/", shop.name);
    let keys = roost.bucket.keys(&folder).await?;
    for part in ["metadata.json", "schema.sql", "owner.json"] {
        ensure!(keys.iter().any(|key| key.ends_with(part)), "{part} is missing in {keys:?}");
    }
    let parquet = keys.iter().find(|key| key.ends_with(".parquet")).cloned().unwrap_or_default();
    let bytes = roost.bucket.read(&parquet).await?;
    ensure!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{parquet} is not a Parquet file");

    // Branched: instant, with the data, and apart from then on.
    shop.apply("Branch", "dev", json!({"tenantName": "acme"})).await?;
    shop.condition("Branch", "dev", "Ready", "True", None).await?;
    let dev = "acme/branches/dev";
    ensure!(shop.query(dev, "SELECT count(*) FROM orders").await?.integer()? == 1000);
    shop.run(dev, "DELETE FROM orders WHERE id >= 10").await?;
    ensure!(shop.query(dev, "SELECT count(*) FROM orders").await?.integer()? == 10);
    ensure!(shop.query("acme", "SELECT count(*) FROM orders").await?.integer()? == 1000);

    // Evicted when idle, and nothing is left of it but its object.
    shop.asleep(&uid, PATIENCE).await?;
    let tenant = shop.condition("Tenant", "acme", "Available", "True", Some("Idle")).await?;
    ensure!(tenant.data["status"]["position"]["manifest"].as_u64() > Some(0), "{}", tenant.data["status"]);

    // Woken again with its data.
    ensure!(shop.query("acme", "SELECT sum(id) FROM orders").await?.integer()? == 499_500);
    ensure!(shop.query(dev, "SELECT count(*) FROM orders").await?.integer()? == 10);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_tenant_starts_from_an_init_script_or_a_native_snapshot() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("source", "10s", |_| ()).await?;
    let shop = roost.namespace("source").await?;
    let script = "CREATE TABLE plan (name VARCHAR); INSERT INTO plan VALUES ('free'), ('paid')";
    shop.tenant("seed", json!({"className": class, "source": {"initScript": {"sql": script}}})).await?;
    ensure!(shop.query("seed", "SELECT count(*) FROM plan").await?.integer()? == 2);

    shop.apply("Snapshot", "seeded", json!({"tenantName": "seed", "format": "Native"})).await?;
    shop.condition("Snapshot", "seeded", "Ready", "True", None).await?;
    shop.run("seed", "INSERT INTO plan VALUES ('later')").await?;

    shop.tenant("copy", json!({"className": class, "source": {"snapshot": {"name": "seeded"}}})).await?;
    ensure!(shop.query("copy", "SELECT count(*) FROM plan").await?.integer()? == 2);
    ensure!(shop.query("seed", "SELECT count(*) FROM plan").await?.integer()? == 3);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_failing_init_script_says_where_and_leaves_the_tenant_unpublished() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("script", "10s", |_| ()).await?;
    let shop = roost.namespace("script").await?;
    let script = "CREATE TABLE kept (i INT);\nINSERT INTO missing VALUES (1)";
    shop.tenant("broken", json!({"className": class, "source": {"initScript": {"sql": script}}})).await?;
    let problem = shop.query("broken", "SELECT 1").await?.problem()?;
    ensure!(problem.code == roost_protocol::problem::ErrorCode::InitScriptFailed, "{problem}");
    ensure!(problem.detail.contains("missing"), "{problem}");
    shop.condition("Tenant", "broken", "Ready", "False", Some("RestoreFailed")).await?;
    Ok(())
}
