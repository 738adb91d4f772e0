//! `operatingMode: Suspended`: the tenant sleeps, and says so, until it is told to run.

use anyhow::{Result, ensure};
use roost_tests::{Roost, cluster::PATIENCE};
use serde_json::json;

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_suspended_tenant_is_sealed_and_refuses_until_it_runs_again() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("suspend", "10m", |_| ()).await?;
    let shop = roost.namespace("suspend").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 7 AS i").await?;

    shop.apply("Tenant", "acme", json!({"className": class, "operatingMode": "Suspended"})).await?;
    shop.condition("Tenant", "acme", "Available", "False", Some("Suspended")).await?;
    shop.asleep(&uid, PATIENCE).await?;
    let problem = shop.query("acme", "SELECT 1").await?.problem()?;
    ensure!(problem.code == roost_protocol::problem::ErrorCode::Suspended, "{problem}");

    shop.apply("Tenant", "acme", json!({"className": class, "operatingMode": "Running"})).await?;
    shop.condition("Tenant", "acme", "Available", "True", None).await?;
    // A refusal is remembered for a moment.
    shop.answers("acme", "SELECT i FROM t", 7).await
}
