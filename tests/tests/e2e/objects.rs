//! Objects that go in any order, namespaces that come back under their name.

use anyhow::{Result, ensure};
use kube::api::DeleteParams;
use roost_tests::{Roost, TestNamespace, cluster::PATIENCE, tenant::find_condition};
use serde_json::json;

const KINDS: [&str; 3] = ["Tenant", "Branch", "Snapshot"];

/// A serving tenant with a serving branch and a snapshot, all to be deleted with their data.
async fn furnish(shop: &TestNamespace, class: &str) -> Result<String> {
    let uid = shop.tenant("acme", json!({"className": class, "deletionPolicy": "Delete"})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 1 AS i").await?;
    for (kind, format) in [("Branch", None), ("Snapshot", Some("Native"))] {
        let mut spec = json!({"tenantName": "acme", "deletionPolicy": "Delete"});
        if let Some(format) = format {
            spec["format"] = json!(format);
        }
        shop.apply(kind, "acme", spec).await?;
        shop.condition(kind, "acme", "Ready", "True", None).await?;
    }
    shop.run("acme/branches/acme", "SELECT i FROM t").await?;
    Ok(uid)
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn objects_go_in_any_order_with_their_namespace() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("order", "10m", |_| ()).await?;
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
        let shop = roost.namespace("order").await?;
        let uid = furnish(&shop, &class).await?;
        for kind in order {
            shop.api(KINDS[kind]).delete("acme", &DeleteParams::default()).await?;
        }
        roost.delete_namespace(&shop.name, PATIENCE).await?;
        shop.asleep(&uid, PATIENCE).await?;
        let left = roost.bucket.keys(&format!("{class}/tenants/{}/", shop.name)).await?;
        ensure!(left.is_empty(), "{order:?} left {left:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_namespace_made_again_gets_the_data_only_when_it_says_so() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("recreated", "10m", |_| ()).await?;
    let shop = roost.namespace("recreated").await?;
    let first = roost.namespace_uid(&shop.name).await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 9 AS i").await?;
    roost.delete_namespace(&shop.name, PATIENCE).await?;
    shop.asleep(&uid, PATIENCE).await?;
    let prefix = format!("{class}/tenants/{}/acme/", shop.name);
    let before = roost.bucket.contents(&prefix).await?;

    let again = TestNamespace::create(roost.clone(), shop.name.clone()).await?;
    again.apply("Tenant", "acme", json!({"className": class})).await?;
    let tenant = again.condition("Tenant", "acme", "Ready", "False", Some("DataOwnedElsewhere")).await?;
    let message = find_condition(&tenant, "Ready")["message"].to_string();
    ensure!(message.contains("adopt") && message.contains(&first), "{message}");
    ensure!(
        roost.bucket.contents(&prefix).await? == before,
        "an object of the earlier namespace was touched"
    );

    let cluster = roost.namespace_uid("kube-system").await?;
    let adopt = json!({"clusterID": cluster, "namespaceUID": first});
    again.tenant("acme", json!({"className": class, "adopt": adopt})).await?;
    again.answers("acme", "SELECT i FROM t", 9).await
}
