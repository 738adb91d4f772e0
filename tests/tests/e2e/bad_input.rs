//! Wrong input gets a clear condition, and nothing is overwritten.

use anyhow::{Context, Result, ensure};
use roost_protocol::problem::ErrorCode;
use roost_tests::{Roost, cluster::PATIENCE, tenant::find_condition};
use serde_json::json;

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn missing_references_are_named_and_awaited() -> Result<()> {
    let roost = Roost::connect().await?;
    let shop = roost.namespace("missing").await?;
    shop.apply("Tenant", "early", json!({"className": "not-there-yet"})).await?;
    shop.condition("Tenant", "early", "Ready", "False", Some("ClassNotFound")).await?;
    ensure!(shop.query("early", "SELECT 1").await?.problem()?.code == ErrorCode::TenantNotReady);

    let class = roost
        .class("secretless", "10s", |spec| {
            spec["storage"]["credentials"]["secretRef"]["name"] = json!("absent");
        })
        .await?;
    shop.apply("Tenant", "keyless", json!({"className": class})).await?;
    shop.condition("Tenant", "keyless", "Ready", "False", Some("CredentialsNotFound")).await?;

    shop.apply("Branch", "orphan", json!({"tenantName": "nobody"})).await?;
    shop.condition("Branch", "orphan", "Ready", "False", Some("TenantNotFound")).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn unusable_buckets_are_told_apart() -> Result<()> {
    let roost = Roost::connect().await?;
    let shop = roost.namespace("buckets").await?;
    let unreachable = roost
        .class("unreachable", "10s", |spec| {
            spec["storage"]["endpoint"] = json!("https://nothing-here.roost-s3.svc");
        })
        .await?;
    shop.apply("Tenant", "far", json!({"className": unreachable})).await?;

    roost
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong-key", "namespace": "roost-system"},
            "stringData": {"accessKeyID": "nobody", "secretAccessKey": "nothing"},
        }))
        .await?;
    let denied = roost
        .class("denied", "10s", |spec| {
            spec["storage"]["credentials"]["secretRef"]["name"] = json!("wrong-key");
        })
        .await?;
    shop.apply("Tenant", "refused", json!({"className": denied})).await?;

    shop.condition("Tenant", "refused", "Ready", "False", Some("StorageDenied")).await?;
    shop.condition("Tenant", "far", "Ready", "False", Some("StorageUnreachable")).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn damaged_objects_are_reported_and_left_as_they_are() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("damage", "2s", |_| ()).await?;
    let shop = roost.namespace("damage").await?;
    for (tenant, kind) in [("pack", "/packs/"), ("manifest", "/manifests/")] {
        let uid = shop.tenant(tenant, json!({"className": class})).await?;
        shop.run(tenant, "CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS s FROM range(20000) r(i)").await?;
        shop.asleep(&uid, PATIENCE).await?;
        let prefix = format!("{class}/tenants/{}/{tenant}/", shop.name);
        let keys = roost.bucket.keys(&prefix).await?;
        let victim = keys.iter().rfind(|key| key.contains(kind)).context("nothing to damage")?;
        let mut bytes = roost.bucket.read(victim).await?.to_vec();
        if kind == "/packs/" {
            // A bit of every chunk: reading any of them shows it.
            bytes.iter_mut().skip(200).step_by(500).for_each(|byte| *byte ^= 1);
        } else {
            bytes.truncate(bytes.len() / 2);
        }
        roost.bucket.overwrite(victim, bytes.clone()).await?;

        let problem = shop.query(tenant, "SELECT max(s) FROM t").await?.problem()?;
        ensure!(problem.code == ErrorCode::DataCorrupted, "{tenant}: {problem}");
        shop.condition("Tenant", tenant, "Ready", "False", Some("DataCorrupt")).await?;
        ensure!(roost.bucket.read(victim).await? == bytes, "{victim} was overwritten");
        let after = roost.bucket.keys(&prefix).await?;
        ensure!(after == keys, "objects came or went: {keys:?} {after:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_non_owner_touches_nothing() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("owner", "2s", |_| ()).await?;
    let shop = roost.namespace("owner").await?;
    // The same path in the bucket, written by another cluster.
    let prefix = format!("{class}/tenants/{}/acme/", shop.name);
    roost.bucket.create_foreign_tenant(&class, &shop.name, "acme").await?;
    let before = roost.bucket.contents(&prefix).await?;
    ensure!(before.len() >= 2, "{before:?}");

    shop.apply("Tenant", "acme", json!({"className": class, "deletionPolicy": "Delete"})).await?;
    shop.condition("Tenant", "acme", "Ready", "False", Some("DataOwnedElsewhere")).await?;
    let problem = shop.query("acme", "SELECT 1").await?.problem()?;
    ensure!(matches!(problem.code, ErrorCode::DataOwnedElsewhere | ErrorCode::TenantNotReady), "{problem}");
    shop.delete("Tenant", "acme").await?;
    ensure!(roost.bucket.contents(&prefix).await? == before, "an object of another owner was touched");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn an_init_script_in_a_config_map_needs_the_right_to_read_it() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("inputs", "1m", |_| ()).await?;
    let shop = roost.namespace("inputs").await?;
    roost
        .apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seed", "namespace": shop.name},
            "data": {"seed.sql": "CREATE TABLE seeded AS SELECT 3 AS i"},
        }))
        .await?;
    let script = json!({"configMapRef": {"name": "seed", "key": "seed.sql"}});
    shop.apply("Tenant", "acme", json!({"className": class, "source": {"initScript": script}})).await?;
    let tenant = shop.condition("Tenant", "acme", "Ready", "False", Some("InputsNotPermitted")).await?;
    let message = find_condition(&tenant, "Ready")["message"].to_string();
    ensure!(message.contains("kubectl create rolebinding"), "{message}");

    roost
        .apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "inputs", "namespace": shop.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "roost-tenant-inputs"},
            "subjects": [{"kind": "ServiceAccount", "name": "roost-operator", "namespace": "roost-system"}],
        }))
        .await?;
    shop.condition("Tenant", "acme", "Ready", "True", None).await?;
    shop.answers("acme", "SELECT i FROM seeded", 3).await
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn an_init_script_with_a_nul_byte_is_refused_wherever_it_stands() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("nul", "1m", |_| ()).await?;
    let shop = roost.namespace("nul").await?;
    let script = "CREATE TABLE t AS SELECT 3 AS i;\nDELETE FROM t\0 WHERE i = 4";
    let metadata = json!({"name": "seed", "namespace": shop.name});
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"seed.sql": script}});
    roost.apply(&map).await?;
    roost
        .apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "inputs", "namespace": shop.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "roost-tenant-inputs"},
            "subjects": [{"kind": "ServiceAccount", "name": "roost-operator", "namespace": "roost-system"}],
        }))
        .await?;
    for (tenant, script) in [
        ("inline", json!({"sql": script})),
        ("mapped", json!({"configMapRef": {"name": "seed", "key": "seed.sql"}})),
    ] {
        shop.apply("Tenant", tenant, json!({"className": class, "source": {"initScript": script}})).await?;
        let shown = shop.condition("Tenant", tenant, "Ready", "False", Some("InvalidSpec")).await?;
        let message = find_condition(&shown, "Ready")["message"].to_string();
        ensure!(message.contains("NUL byte, at byte 46 in line 2"), "{message}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn data_of_another_cluster_is_adopted_when_the_tenant_names_it() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("adopt", "1m", |_| ()).await?;
    let shop = roost.namespace("adopt").await?;
    let owner = roost.bucket.create_foreign_tenant(&class, &shop.name, "acme").await?;
    shop.apply("Tenant", "acme", json!({"className": class})).await?;
    shop.condition("Tenant", "acme", "Ready", "False", Some("DataOwnedElsewhere")).await?;
    let adopt = json!({"clusterID": owner.cluster_id, "namespaceUID": owner.namespace_uid});
    shop.apply("Tenant", "acme", json!({"className": class, "adopt": adopt})).await?;
    shop.condition("Tenant", "acme", "Ready", "True", None).await?;
    shop.answers("acme", "SELECT 1", 1).await
}
