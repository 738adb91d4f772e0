//! A class, its bucket's key, or the choice of a class changes while tenants run.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use roost_crds::names::DEFAULT_CLASS_ANNOTATION;
use roost_tests::{
    Roost, TestNamespace,
    cluster::{PATIENCE, SYSTEM_NAMESPACE},
    eventually,
};
use serde_json::{Value, json};

use crate::rights::label;

async fn threads(shop: &TestNamespace) -> Result<i64> {
    shop.query("acme", "SELECT current_setting('threads')").await?.integer()
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn pods_go_on_as_they_are_and_the_next_wake_follows_the_class() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("change", "10m", |spec| spec["engine"] = json!({"threads": 1})).await?;
    let shop = roost.namespace("change").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    ensure!(threads(&shop).await? == 1);
    let pod = roost.pod_of(&uid).await?;

    let resources = json!({"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "768Mi"}});
    roost
        .change_class(&class, &json!({"engine": {"threads": 2}, "runtime": {"resources": resources}}))
        .await?;
    shop.condition("Tenant", "acme", "Ready", "True", Some("Serving")).await?;
    ensure!(threads(&shop).await? == 1, "a pod that serves was changed");
    ensure!(roost.pod_of(&uid).await?.uid() == pod.uid(), "the pod was replaced");

    roost.evict(&uid).await?;
    ensure!(threads(&shop).await? == 2, "the next wake did not follow the class");
    let limits = roost.pod_of(&uid).await?.spec;
    let limits = limits.and_then(|spec| spec.containers.into_iter().next()).and_then(|first| first.resources);
    let memory = limits.and_then(|resources| resources.limits?.get("memory").cloned());
    ensure!(memory.as_ref().is_some_and(|memory| memory.0 == "768Mi"), "{memory:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn data_does_not_follow_a_tenant_to_another_place() -> Result<()> {
    let roost = Roost::connect().await?;
    let here = roost.class("here", "10m", |_| ()).await?;
    let there = roost.class("there", "10m", |_| ()).await?;
    let moved = roost.change_class(&here, &json!({"storage": {"prefix": "elsewhere"}})).await;
    ensure!(moved.is_err(), "a class moved from under its tenants");
    let shop = roost.namespace("place").await?;
    let uid = shop.tenant("acme", json!({"className": here})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 4 AS i").await?;

    shop.apply("Tenant", "acme", json!({"className": there})).await?;
    shop.condition("Tenant", "acme", "Ready", "False", Some("StorageChangeRefused")).await?;
    roost.evict(&uid).await?;
    ensure!(shop.query("acme", "SELECT i FROM t").await?.integer()? == 4, "it does not go on where it was");
    shop.apply("Tenant", "acme", json!({"className": here})).await?;
    shop.condition("Tenant", "acme", "Ready", "True", None).await?;
    Ok(())
}

/// Waits until the server would create a Tenant here that names no class, or refuses it for its namespace. It knows
/// classes and labels by watching them.
async fn may_take_the_default(shop: &TestNamespace, accepted: bool) -> Result<()> {
    let tenant: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "roostdb.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "new"}, "spec": {},
    }))?;
    let (api, dry_run) = (shop.api("Tenant"), PostParams { dry_run: true, ..PostParams::default() });
    eventually(&format!("a Tenant without a class: accepted is {accepted}"), PATIENCE, || async {
        match (api.create(&dry_run, &tenant).await, accepted) {
            (Ok(_), true) => Ok(()),
            (Err(error), false) if error.to_string().contains("its allowedNamespaces do not select") => {
                Ok(())
            }
            (answer, _) => Err(format!("{answer:?}")),
        }
    })
    .await
}

/// One test for all of it: the default is the whole cluster's, and every other test names its class.
#[tokio::test]
#[ignore = "needs the test cluster"]
async fn the_default_class_is_taken_if_there_is_one_and_it_is_for_the_namespace() -> Result<()> {
    let roost = Roost::connect().await?;
    let default = async |class: &str, is: Value| {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {DEFAULT_CLASS_ANNOTATION: is}}}));
        roost.classes().patch(class, &PatchParams::default(), &patch).await
    };
    let shop = roost.namespace("default").await?;
    shop.apply("Tenant", "acme", json!({})).await?;
    shop.condition("Tenant", "acme", "Ready", "False", Some("ClassNotFound")).await?;
    let (one, other) = (roost.class("one", "10m", |_| ()).await?, roost.class("other", "10m", |_| ()).await?);
    default(&one, json!("true")).await?;
    default(&other, json!("true")).await?;
    shop.apply("Tenant", "late", json!({})).await?;
    shop.condition("Tenant", "late", "Ready", "False", Some("ClassAmbiguous")).await?;
    default(&other, Value::Null).await?;
    for tenant in ["acme", "late"] {
        let found = shop.condition("Tenant", tenant, "Ready", "True", None).await?;
        ensure!(found.data["status"]["className"] == one, "{}", found.data["status"]);
    }
    // What is chosen stays chosen.
    default(&one, Value::Null).await?;
    shop.condition("Tenant", "acme", "Ready", "True", None).await?;

    // One that is for other namespaces is taken neither by who waits for a default nor by who comes.
    shop.apply("Tenant", "waits", json!({})).await?;
    shop.condition("Tenant", "waits", "Ready", "False", Some("ClassNotFound")).await?;
    let gold = json!({"matchLabels": {"team": "gold"}});
    roost.change_class(&one, &json!({"allowedNamespaces": gold})).await?;
    default(&one, json!("true")).await?;
    let refused = shop.condition("Tenant", "waits", "Ready", "False", Some("ClassNotAllowed")).await?;
    ensure!(refused.data["status"]["className"].is_null(), "{}", refused.data["status"]);
    may_take_the_default(&shop, false).await?;
    label(&roost, &shop, Some("gold")).await?;
    let taken = shop.condition("Tenant", "waits", "Ready", "True", None).await?;
    ensure!(taken.data["status"]["className"] == one, "{}", taken.data["status"]);
    may_take_the_default(&shop, true).await?;
    default(&one, Value::Null).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_key_that_changes_is_used_from_the_next_wake_on() -> Result<()> {
    let roost = Roost::connect().await?;
    let secrets: Api<Secret> = Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
    let key = async |(id, secret): (&str, &str)| {
        roost
            .apply(&json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rotated", "namespace": SYSTEM_NAMESPACE},
                "stringData": {"accessKeyID": id, "secretAccessKey": secret},
            }))
            .await
    };
    let [first, second] = roost.bucket.two_keys();
    key(first).await?;
    let class = roost
        .class("rotate", "10m", |spec| {
            spec["storage"]["credentials"] = json!({"secretRef": {"name": "rotated"}});
        })
        .await?;
    let shop = roost.namespace("rotate").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 6 AS i").await?;

    key(("ROOSTREVOKED", "no longer valid")).await?;
    ensure!(shop.query("acme", "SELECT i FROM t").await?.integer()? == 6, "a pod that serves has its key");
    roost.evict(&uid).await?;
    let problem = shop.query("acme", "SELECT i FROM t").await?.problem()?;
    println!("{problem}");
    ensure!(!problem.detail.contains("no longer valid"), "a secret was told");

    key(second).await?;
    shop.answers("acme", "SELECT i FROM t", 6).await?;
    secrets.delete("rotated", &DeleteParams::default()).await?;
    shop.run("acme", "INSERT INTO t VALUES (7)").await?;
    Ok(())
}
