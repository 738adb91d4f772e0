//! Uninstalled with its namespaces, and installed again over the tenants and the data that stayed.

use anyhow::{Result, ensure};
use kube::api::DeleteParams;
use roost_tests::{
    Roost,
    cluster::{PATIENCE, RUNTIME_NAMESPACE, SYSTEM_NAMESPACE},
    tenant::find_condition,
    wait,
};
use serde_json::json;
use std::time::Duration;

use crate::{CLUSTER, install_this, run};

/// Longest time that a namespace takes to go while pods in it seal.
const NAMESPACE_GONE: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn installed_again_it_finds_tenants_and_data() -> Result<()> {
    let _cluster = CLUSTER.lock().await;
    let roost = Roost::connect().await?;
    let class = roost.class("again", "10m", |_| ()).await?;
    let shop = roost.namespace("again").await?;
    let spec = json!({"className": class, "deletionPolicy": "Retain"});
    let awake = shop.tenant("awake", spec.clone()).await?;
    shop.run("awake", "CREATE TABLE t AS SELECT 1 AS i").await?;
    shop.apply("Branch", "dev", json!({"tenantName": "awake"})).await?;
    shop.condition("Branch", "dev", "Ready", "True", None).await?;
    shop.run("awake", "INSERT INTO t VALUES (2)").await?;
    let goes = roost.namespace("goes").await?;
    goes.tenant("acme", spec.clone()).await?;
    goes.run("acme", "CREATE TABLE t AS SELECT 3 AS i").await?;
    let goes_uid = roost.namespace_uid(&goes.name).await?;

    run("helm", &["uninstall", "roost", "--namespace", SYSTEM_NAMESPACE, "--wait", "--timeout", "3m"])
        .await?;
    // Nobody answers for it any more; its objects wait for the operator that comes back.
    roost.api("v1", "Namespace", None).delete(&goes.name, &DeleteParams::default()).await?;
    // Pods that are asked to leave publish and seal, whoever is there.
    for namespace in [RUNTIME_NAMESPACE, SYSTEM_NAMESPACE] {
        if roost.api("v1", "Namespace", None).get_opt(namespace).await?.is_some() {
            roost.delete_namespace(namespace, NAMESPACE_GONE).await?;
        }
    }
    ensure!(roost.pods_of(&awake).await?.is_empty(), "a pod outlived its namespace");
    let tenant = shop.api("Tenant").get("awake").await?;
    ensure!(tenant.metadata.deletion_timestamp.is_none(), "the Tenant went with the operator");

    install_this().await?;
    // The gateway has another address.
    let roost = Roost::connect().await?;
    let mut shop = shop;
    shop.roost = roost.clone();
    shop.condition("Tenant", "awake", "Ready", "True", None).await?;
    shop.answers("awake", "SELECT sum(i)::BIGINT FROM t", 3).await?;
    shop.answers("awake/branches/dev", "SELECT i FROM t", 1).await?;
    shop.run("awake", "INSERT INTO t VALUES (4)").await?;

    // The namespace that was deleted meanwhile goes now, and its data stays for whoever proves to own it.
    wait::gone(&roost.api("v1", "Namespace", None), "namespace", &goes.name, PATIENCE).await?;
    let comes = roost_tests::TestNamespace::create(roost.clone(), goes.name.clone()).await?;
    comes.apply("Tenant", "acme", spec).await?;
    let refused = comes.condition("Tenant", "acme", "Ready", "False", Some("DataOwnedElsewhere")).await?;
    let message = find_condition(&refused, "Ready")["message"].to_string();
    ensure!(message.contains(&goes_uid), "{message}");
    Ok(())
}
