//! Deletion: Retain keeps the data, Delete removes it, and nothing hangs.

use anyhow::{Result, ensure};
use kube::ResourceExt as _;
use roost_crds::names::BRANCH_LABEL;
use roost_protocol::problem::ErrorCode;
use roost_tests::{Roost, cluster::PATIENCE, eventually};
use serde_json::json;

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn retained_data_is_found_again() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("retain", "10m", |_| ()).await?;
    let shop = roost.namespace("retain").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 5 AS i").await?;
    // Deleted while it serves: the pod seals what it has.
    shop.delete("Tenant", "acme").await?;
    shop.asleep(&uid, PATIENCE).await?;
    ensure!(!roost.bucket.keys(&format!("{class}/tenants/{}/acme/", shop.name)).await?.is_empty());
    // The same manifest finds it.
    shop.tenant("acme", json!({"className": class})).await?;
    ensure!(shop.query("acme", "SELECT i FROM t").await?.integer()? == 5);
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn retained_branches_and_snapshots_are_found_again() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("again", "10m", |_| ()).await?;
    let shop = roost.namespace("again").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 5 AS i").await?;
    let objects = [
        ("Branch", "dev", json!({"tenantName": "acme"})),
        ("Snapshot", "native", json!({"tenantName": "acme", "format": "Native"})),
        ("Snapshot", "parquet", json!({"tenantName": "acme", "format": "Parquet"})),
    ];
    let mut taken = Vec::new();
    for (kind, name, spec) in &objects {
        shop.apply(kind, name, spec.clone()).await?;
        taken.push(
            shop.condition(kind, name, "Ready", "True", None).await?.data["status"]["position"].clone(),
        );
    }
    shop.run("acme/branches/dev", "INSERT INTO t VALUES (6)").await?;
    shop.run("acme", "INSERT INTO t VALUES (7)").await?;
    for (kind, name, _) in &objects {
        shop.delete(kind, name).await?;
    }
    // Data that began elsewhere is not passed off as what was asked for.
    shop.apply("Snapshot", "later", json!({"tenantName": "acme", "format": "Native"})).await?;
    let other = json!({"tenantName": "acme", "branchName": "dev", "from": {"snapshotName": "later"}});
    shop.apply("Branch", "other", other).await?;
    shop.condition("Branch", "other", "Ready", "False", Some("BranchNameTaken")).await?;
    shop.delete("Branch", "other").await?;

    for ((kind, name, spec), taken) in objects.iter().zip(taken) {
        shop.apply(kind, name, spec.clone()).await?;
        let again = shop.condition(kind, name, "Ready", "True", None).await?;
        let moved = *kind == "Branch";
        ensure!(moved || again.data["status"]["position"] == taken, "{name}: {}", again.data["status"]);
    }
    ensure!(shop.query("acme/branches/dev", "SELECT sum(i) FROM t").await?.integer()? == 11);
    Ok(())
}

/// The pod of a deleted Branch ends after another object asked for the name. What it says is not of that object.
#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_kept_branch_is_not_given_to_whoever_waits_for_its_name() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("waits", "10m", |_| ()).await?;
    let shop = roost.namespace("waits").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 5 AS i").await?;
    shop.apply("Branch", "dev", json!({"tenantName": "acme"})).await?;
    shop.condition("Branch", "dev", "Ready", "True", None).await?;
    shop.run("acme/branches/dev", "INSERT INTO t VALUES (6)").await?;
    shop.run("acme", "INSERT INTO t VALUES (7)").await?;
    shop.apply("Snapshot", "later", json!({"tenantName": "acme", "format": "Native"})).await?;
    shop.condition("Snapshot", "later", "Ready", "True", None).await?;
    let other = json!({"tenantName": "acme", "branchName": "dev", "from": {"snapshotName": "later"}});
    shop.apply("Branch", "other", other).await?;
    shop.condition("Branch", "other", "Ready", "False", Some("BranchNameTaken")).await?;

    shop.delete("Branch", "dev").await?;
    eventually("the pod of dev has left", PATIENCE, || async {
        let pods = roost.pods_of(&uid).await.map_err(|error| error.to_string())?;
        let of_dev =
            pods.iter().filter(|pod| pod.labels().get(BRANCH_LABEL).is_some_and(|name| name == "dev"));
        if of_dev.count() == 0 { Ok(()) } else { Err("it is there".to_owned()) }
    })
    .await?;
    let other = shop.condition("Branch", "other", "Ready", "False", Some("BranchNameTaken")).await?;
    ensure!(other.data["status"]["position"].is_null(), "{}", other.data["status"]);
    let problem = shop.query("acme/branches/dev", "SELECT 1").await?.problem()?;
    ensure!(problem.code == ErrorCode::TenantNotReady, "{problem}");

    shop.delete("Branch", "other").await?;
    shop.apply("Branch", "dev", json!({"tenantName": "acme"})).await?;
    shop.condition("Branch", "dev", "Ready", "True", None).await?;
    // The refusal of a moment ago may be remembered.
    shop.answers("acme/branches/dev", "SELECT sum(i) FROM t", 11).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn deleted_data_is_gone_and_parquet_snapshots_stay() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("delete", "10m", |_| ()).await?;
    let shop = roost.namespace("delete").await?;
    shop.tenant("acme", json!({"className": class, "deletionPolicy": "Delete"})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 5 AS i").await?;
    shop.apply("Branch", "dev", json!({"tenantName": "acme"})).await?;
    shop.condition("Branch", "dev", "Ready", "True", None).await?;
    shop.apply("Snapshot", "native", json!({"tenantName": "acme", "format": "Native"})).await?;
    shop.condition("Snapshot", "native", "Ready", "True", None).await?;
    shop.apply("Snapshot", "parquet", json!({"tenantName": "acme", "format": "Parquet"})).await?;
    shop.condition("Snapshot", "parquet", "Ready", "True", None).await?;

    shop.delete("Tenant", "acme").await?;
    let left = roost.bucket.keys(&format!("{class}/tenants/{}/acme/", shop.name)).await?;
    ensure!(left.is_empty(), "{left:?}");
    shop.condition("Branch", "dev", "Ready", "False", Some("TenantDeleted")).await?;
    shop.condition("Snapshot", "native", "Ready", "False", Some("TenantDeleted")).await?;
    ensure!(!roost.bucket.keys(&format!("{class}/snapshots/{}/acme/parquet/", shop.name)).await?.is_empty());
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_tenant_deleted_while_it_wakes_leaves_no_pod() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("waking", "10m", |_| ()).await?;
    let shop = roost.namespace("waking").await?;
    for round in 0..3 {
        let name = format!("acme-{round}");
        let uid = shop.tenant(&name, json!({"className": class, "deletionPolicy": "Delete"})).await?;
        let query = shop.query(&name, "SELECT 1");
        let delete = async {
            eventually("a pod is on its way", PATIENCE, || async {
                let pods = roost.pods_of(&uid).await.map_err(|error| error.to_string())?;
                if pods.is_empty() { Err("no pod".to_owned()) } else { Ok(()) }
            })
            .await?;
            shop.delete("Tenant", &name).await
        };
        let (answer, deleted) = tokio::join!(query, delete);
        deleted?;
        ensure!(answer.is_ok(), "the query hung or broke: {answer:?}");
        shop.asleep(&uid, PATIENCE).await?;
        let left = roost.bucket.keys(&format!("{class}/tenants/{}/{name}/", shop.name)).await?;
        ensure!(left.is_empty(), "{left:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_namespace_goes_with_everything_in_it() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("namespace", "10m", |_| ()).await?;
    let shop = roost.namespace("namespace").await?;
    let kept = shop.tenant("kept", json!({"className": class})).await?;
    let gone = shop.tenant("gone", json!({"className": class, "deletionPolicy": "Delete"})).await?;
    for tenant in ["kept", "gone"] {
        shop.run(tenant, "CREATE TABLE t AS SELECT 1 AS i").await?;
        let branch = json!({"tenantName": tenant, "branchName": "dev", "deletionPolicy": "Delete"});
        shop.apply("Branch", &format!("{tenant}-dev"), branch).await?;
        shop.condition("Branch", &format!("{tenant}-dev"), "Ready", "True", None).await?;
        let snapshot = json!({"tenantName": tenant, "format": "Native", "deletionPolicy": "Delete"});
        shop.apply("Snapshot", &format!("{tenant}-now"), snapshot).await?;
        shop.condition("Snapshot", &format!("{tenant}-now"), "Ready", "True", None).await?;
    }
    roost.delete_namespace(&shop.name, PATIENCE).await?;
    for uid in [kept, gone] {
        shop.asleep(&uid, PATIENCE).await?;
    }
    let prefix = format!("{class}/tenants/{}", shop.name);
    ensure!(!roost.bucket.keys(&format!("{prefix}/kept/")).await?.is_empty());
    ensure!(roost.bucket.keys(&format!("{prefix}/gone/")).await?.is_empty());
    Ok(())
}
