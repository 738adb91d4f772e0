//! Rights follow names: what a name's data is, who gets it, and which namespaces a class is for.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use roost_protocol::problem::ErrorCode;
use roost_tests::{Roost, TestNamespace, tenant::find_condition};
use serde_json::json;

fn message(object: &kube::api::DynamicObject) -> String {
    find_condition(object, "Ready")["message"].to_string()
}

/// Whoever may create Branches does not come to what another object left by choosing its branchName.
#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_kept_branch_is_found_by_an_object_of_its_name_only() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("names", "10m", |_| ()).await?;
    let shop = roost.namespace("names").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 5 AS i").await?;
    let dev = json!({"tenantName": "acme", "branchName": "dev"});
    shop.apply("Branch", "secret", dev.clone()).await?;
    shop.condition("Branch", "secret", "Ready", "True", None).await?;
    shop.run("acme/branches/dev", "INSERT INTO t VALUES (6)").await?;
    // While its pod serves.
    shop.delete("Branch", "secret").await?;
    for other in ["mine", "dev"] {
        shop.apply("Branch", other, dev.clone()).await?;
        let refused = shop.condition("Branch", other, "Ready", "False", Some("BranchNameTaken")).await?;
        ensure!(message(&refused).contains("name this object secret"), "{}", message(&refused));
        ensure!(refused.data["status"]["position"].is_null(), "{}", refused.data["status"]);
        let problem = shop.query("acme/branches/dev", "FROM t").await?.problem()?;
        ensure!(matches!(problem.code, ErrorCode::TenantNotReady | ErrorCode::NotFound), "{problem}");
        shop.delete("Branch", other).await?;
    }
    shop.apply("Branch", "secret", dev).await?;
    shop.condition("Branch", "secret", "Ready", "True", None).await?;
    shop.answers("acme/branches/dev", "SELECT sum(i) FROM t", 11).await
}

/// At its admission there was no branch, so nobody was asked about the object that made one since.
#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_copy_that_waited_gets_what_the_named_object_has_and_nothing_else() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("waited", "10m", |_| ()).await?;
    let shop = roost.namespace("waited").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 5 AS i").await?;
    let of_dev = |object: Option<&str>, format: Option<&str>| {
        let mut spec = json!({"tenantName": "acme", "branchName": "dev"});
        if let Some(object) = object {
            spec["branchObject"] = json!(object);
        }
        if let Some(format) = format {
            spec["format"] = json!(format);
        }
        spec
    };
    for format in ["Native", "Parquet"] {
        let name = format!("early-{}", format.to_lowercase());
        shop.apply("Snapshot", &name, of_dev(None, Some(format))).await?;
        shop.condition("Snapshot", &name, "Ready", "False", Some("SourceNotFound")).await?;
    }
    let early = json!({"tenantName": "acme", "from": {"branchName": "dev"}});
    shop.apply("Branch", "early", early).await?;
    shop.condition("Branch", "early", "Ready", "False", Some("SourceNotFound")).await?;

    shop.apply("Branch", "secret", of_dev(None, None)).await?;
    shop.condition("Branch", "secret", "Ready", "True", None).await?;
    // A copy that names the object, made after it, shows that the operator has looked at what waits.
    shop.apply("Snapshot", "named", of_dev(Some("secret"), Some("Native"))).await?;
    shop.condition("Snapshot", "named", "Ready", "True", None).await?;
    let from = json!({"branchName": "dev", "branchObject": "secret"});
    shop.apply("Branch", "copy", json!({"tenantName": "acme", "from": from})).await?;
    shop.condition("Branch", "copy", "Ready", "True", None).await?;
    for (kind, name) in [("Snapshot", "early-native"), ("Snapshot", "early-parquet"), ("Branch", "early")] {
        roost_tests::eventually(name, roost_tests::cluster::PATIENCE, || async {
            let waits = shop.api(kind).get(name).await.map_err(|error| error.to_string())?;
            if message(&waits).contains("branchObject: secret") { Ok(()) } else { Err(message(&waits)) }
        })
        .await?;
        let refused = shop.condition(kind, name, "Ready", "False", Some("SourceNotFound")).await?;
        ensure!(refused.data["status"]["position"].is_null(), "{}", refused.data["status"]);
    }
    // Now the server itself says which object it is.
    let refused = shop.apply("Snapshot", "late", of_dev(None, None)).await;
    ensure!(refused.is_err_and(|error| format!("{error:#}").contains("branchObject: secret")));
    Ok(())
}

/// Gives the namespace a team, or takes it.
pub async fn label(roost: &Roost, shop: &TestNamespace, team: Option<&str>) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(roost.client.clone());
    let patch = Patch::Merge(json!({"metadata": {"labels": {"team": team}}}));
    namespaces.patch(&shop.name, &PatchParams::default(), &patch).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_class_is_for_the_namespaces_that_it_allows() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("allowed", "2s", |_| ()).await?;
    let shop = roost.namespace("allowed").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 5 AS i").await?;
    // Waits for its class, which is for others once it comes.
    let later = format!("{class}-later");
    shop.apply("Tenant", "waits", json!({"className": later})).await?;
    shop.condition("Tenant", "waits", "Ready", "False", Some("ClassNotFound")).await?;

    let allowed = json!({"matchLabels": {"team": "gold"}});
    roost.change_class(&class, &json!({"allowedNamespaces": allowed})).await?;
    let mut object = serde_json::to_value(roost.classes().get(&class).await?)?;
    object["metadata"] = json!({"name": later});
    object["spec"]["storage"]["prefix"] = json!(later);
    object["apiVersion"] = json!("roostdb.dev/v1alpha1");
    object["kind"] = json!("TenantClass");
    object.as_object_mut().into_iter().for_each(|object| drop(object.remove("status")));
    roost.apply(&object).await?;

    let refused = shop.condition("Tenant", "waits", "Ready", "False", Some("ClassNotAllowed")).await?;
    ensure!(find_condition(&refused, "Available")["status"] == "False", "{}", refused.data["status"]);
    ensure!(message(&refused).contains("Have the namespace labelled"), "{}", message(&refused));
    ensure!(roost.bucket.keys(&format!("{later}/tenants/")).await?.is_empty(), "something was made");
    // What is there is served on, and woken.
    let kept = shop.condition("Tenant", "acme", "Ready", "False", Some("ClassNotAllowed")).await?;
    ensure!(find_condition(&kept, "Available")["status"] == "True", "{}", kept.data["status"]);
    shop.asleep(&uid, roost_tests::cluster::PATIENCE).await?;
    ensure!(shop.query("acme", "SELECT i FROM t").await?.integer()? == 5);
    // Nobody else takes it.
    shop.apply("Branch", "dev", json!({"tenantName": "acme"})).await?;
    shop.condition("Branch", "dev", "Ready", "False", Some("ClassNotAllowed")).await?;
    let taken = shop.apply("Tenant", "another", json!({"className": class})).await;
    ensure!(taken.is_err_and(|error| format!("{error:#}").contains("its allowedNamespaces do not select")));

    label(&roost, &shop, Some("gold")).await?;
    for (kind, name) in [("Tenant", "waits"), ("Tenant", "acme"), ("Branch", "dev")] {
        shop.condition(kind, name, "Ready", "True", None).await?;
    }
    label(&roost, &shop, None).await?;
    for (kind, name) in [("Tenant", "waits"), ("Tenant", "acme"), ("Branch", "dev")] {
        shop.condition(kind, name, "Ready", "False", Some("ClassNotAllowed")).await?;
    }
    label(&roost, &shop, Some("gold")).await?;
    shop.condition("Tenant", "acme", "Ready", "True", None).await?;
    Ok(())
}
