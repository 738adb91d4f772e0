//! The space of what nobody needs comes back by itself, and an administrator sees what is there.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use roost_tests::{
    Roost,
    cluster::{PATIENCE, SYSTEM_NAMESPACE},
    eventually,
};
use serde_json::{Value, json};
use std::process::Command;

/// Runs a command in the operator's pod: its exit code and standard output.
pub fn operator(command: &str, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = Command::new("kubectl")
        .args(["-n", SYSTEM_NAMESPACE, "exec", "deploy/roost-operator", "--", "roost-operator", command])
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
    let (code, text) = operator("fsck", &[&class])?;
    ensure!(code == Some(0), "{code:?} {text}");
    let (code, names) = operator("fsck", &[&class, "--names-only"])?;
    ensure!(code == Some(0) && names != text, "{code:?} {names}");
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
    let (code, json) = operator("fsck", &[&class, "-o", "json"])?;
    ensure!(code == Some(1), "{code:?} {json}");
    let found: Value = serde_json::from_str(&json)?;
    ensure!(
        found["clean"] == false && found["tenants"].as_array().is_some_and(|all| all.len() == 2),
        "{found:#}"
    );
    ensure!(found["tenants"][0]["findings"][0]["problem"].to_string().contains(needed), "{found:#}");
    ensure!(found["tenants"][1]["leftovers"].to_string().contains(&stray), "{found:#}");

    let one = format!("{}/acme", shop.name);
    let (code, text) = operator("fsck", &[&class, "--tenant", &one])?;
    ensure!(code == Some(1) && !text.contains("stray"), "{code:?} {text}");
    let (code, _) = operator("fsck", &["no-such-class"])?;
    ensure!(code == Some(2), "{code:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn the_space_of_the_past_and_of_what_was_dropped_comes_back() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("space", "10m", |_| ()).await?;
    let shop = roost.namespace("space").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    for round in 0..3 {
        shop.run("acme", "CREATE OR REPLACE TABLE t AS SELECT random() AS x FROM range(200000)").await?;
        if round == 0 {
            let spec = json!({"tenantName": "acme", "format": "Native", "deletionPolicy": "Delete"});
            shop.apply("Snapshot", "first", spec).await?;
            shop.condition("Snapshot", "first", "Ready", "True", None).await?;
            let from = json!({"snapshotName": "first"});
            shop.apply(
                "Branch",
                "dev",
                json!({"tenantName": "acme", "from": from, "deletionPolicy": "Delete"}),
            )
            .await?;
            shop.condition("Branch", "dev", "Ready", "True", None).await?;
            shop.run("acme/branches/dev", "CREATE TABLE d AS SELECT random() AS x FROM range(200000)")
                .await?;
        }
        roost.evict(&uid).await?;
    }
    let prefix = format!("{class}/tenants/{}/acme/", shop.name);
    // Within the window everything stays, and status says how far back it reaches.
    eventually("status says since when it can be recovered", PATIENCE, || async {
        let found = shop.api("Tenant").get("acme").await.map_err(|error| error.to_string())?;
        let since = &found.data["status"]["recoverableFrom"];
        if since.is_string() { Ok(()) } else { Err(found.data["status"].to_string()) }
    })
    .await?;
    let all = roost.bucket.size(&prefix).await?;

    // A collection by hand tells what it would do, and does nothing else. The operator's own may be faster.
    roost.change_class(&class, &json!({"recoveryWindow": "1s"})).await?;
    let tenant = format!("{}/acme", shop.name);
    let (code, text) = operator("collect", &[&tenant])?;
    ensure!(code == Some(0) && text.contains("would be deleted"), "{code:?} {text}");
    println!("{text}");
    let (code, json) = operator("collect", &[&tenant, "--delete", "-o", "json"])?;
    let told: Value = serde_json::from_str(&json).with_context(|| format!("{code:?} {json}"))?;
    let without_past = roost.bucket.size(&prefix).await?;
    ensure!(
        code == Some(0) && told["dryRun"] == false && without_past < all,
        "{without_past} of {all}: {told:#}"
    );
    shop.verified("acme").await?;

    // What is dropped goes without being asked for.
    shop.delete("Branch", "dev").await?;
    shop.delete("Snapshot", "first").await?;
    shop.gone("Branch", "dev").await?;
    shop.gone("Snapshot", "first").await?;
    eventually("the space comes back", PATIENCE, || async {
        let left = roost.bucket.size(&prefix).await.map_err(|error| error.to_string())?;
        if left < without_past / 2 { Ok(()) } else { Err(format!("{left} of {without_past}")) }
    })
    .await?;
    shop.answers("acme", "SELECT count(*) FROM t", 200_000).await?;
    shop.verified("acme").await?;

    let (code, _) = operator("collect", &["nowhere/nobody"])?;
    ensure!(code == Some(2), "{code:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn the_wal_of_the_past_becomes_few_objects_and_reads_as_before() -> Result<()> {
    const ROWS: usize = 40;
    let roost = Roost::connect().await?;
    let generous = json!({"burst": 100, "perSecond": 100});
    let class = roost.class("merging", "10m", |spec| spec["storage"]["putBudget"] = generous).await?;
    let shop = roost.namespace("merging").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t (i INT)").await?;
    let mut moments = Vec::new();
    for row in 0..ROWS {
        shop.run("acme", &format!("INSERT INTO t VALUES ({row})")).await?;
        moments.push(Timestamp::now());
    }
    // Its stream is over.
    roost.evict(&uid).await?;
    let branch = format!("{class}/tenants/{}/acme/branches/main/", shop.name);
    let tenant = format!("{}/acme", shop.name);
    eventually("a long stream is one object", PATIENCE, || async {
        let (code, text) = operator("collect", &[&tenant, "--delete"]).map_err(|error| error.to_string())?;
        let keys = roost.bucket.keys(&branch).await.map_err(|error| error.to_string())?;
        let merged = keys.iter().filter_map(|key| key.strip_prefix(&format!("{branch}merged/")));
        let alone = |stream: &str| !keys.iter().any(|key| key.contains(&format!("/wal/{stream}/")));
        if merged.clone().count() > 0 && merged.clone().all(alone) {
            return Ok(());
        }
        Err(format!("{code:?} {text} {keys:#?}"))
    })
    .await?;
    for row in [0, ROWS / 2, ROWS - 1] {
        let name = format!("at-{row}");
        let spec = json!({"tenantName": "acme", "from": {"time": moments[row].to_string()}});
        shop.apply("Branch", &name, spec).await?;
        shop.condition("Branch", &name, "Ready", "True", None).await?;
        let rows = i64::try_from(row + 1)?;
        shop.answers(&format!("acme/branches/{name}"), "SELECT count(*) FROM t", rows).await?;
    }
    shop.verified("acme").await?;
    Ok(())
}
