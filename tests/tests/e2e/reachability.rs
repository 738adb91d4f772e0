//! `roost-operator reachability`, as an administrator calls it.

use anyhow::{Context, Result, ensure};
use roost_tests::{Roost, cluster::SYSTEM_NAMESPACE};
use serde_json::{Value, json};
use std::process::Command;

/// Runs it in the operator's pod: its exit code and standard output.
fn reachability(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = Command::new("kubectl")
        .args([
            "-n",
            SYSTEM_NAMESPACE,
            "exec",
            "deploy/roost-operator",
            "--",
            "roost-operator",
            "reachability",
        ])
        .args(arguments)
        .output()?;
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_bucket_is_compared_with_what_it_should_hold() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("walk", "10m", |_| ()).await?;
    let shop = roost.namespace("walk").await?;
    for tenant in ["acme", "other"] {
        shop.tenant(tenant, json!({"className": class})).await?;
        shop.run(tenant, "CREATE TABLE t AS SELECT 1 AS i").await?;
        shop.apply("Snapshot", tenant, json!({"tenantName": tenant, "format": "Native"})).await?;
        shop.condition("Snapshot", tenant, "Ready", "True", None).await?;
    }
    let (code, text) = reachability(&[&class])?;
    ensure!(code == Some(0), "{code:?} {text}");
    let location = |tenant: &str| format!("{class}/tenants/{}/{tenant}/", shop.name);
    ensure!(text.contains(&location("acme")) && text.contains(&location("other")), "{text}");
    println!("{text}");

    // A pack that is needed and gone, and an object of nobody's.
    let packs = roost.bucket.keys(&format!("{}packs/", location("acme"))).await?;
    // In order of the manifests that they were made for.
    let needed = packs.last().context("no pack")?;
    roost.bucket.store().delete(needed).await?;
    let stray = format!("{}stray", location("other"));
    roost.bucket.store().put(&stray, "?".into(), roost_store::object::Condition::IfAbsent).await?;
    let (code, json) = reachability(&[&class, "-o", "json"])?;
    ensure!(code == Some(1), "{code:?} {json}");
    let found: Value = serde_json::from_str(&json)?;
    ensure!(
        found["clean"] == false && found["tenants"].as_array().is_some_and(|all| all.len() == 2),
        "{found:#}"
    );
    ensure!(found["tenants"][0]["findings"][0]["problem"].to_string().contains(needed), "{found:#}");
    ensure!(found["tenants"][1]["leftovers"].to_string().contains(&stray), "{found:#}");

    let one = format!("{}/acme", shop.name);
    let (code, text) = reachability(&[&class, "--tenant", &one])?;
    ensure!(code == Some(1) && !text.contains("stray"), "{code:?} {text}");
    let (code, _) = reachability(&["no-such-class"])?;
    ensure!(code == Some(2), "{code:?}");
    Ok(())
}
