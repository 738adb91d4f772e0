//! Decisions of a class: where its pods may connect to, and what they have to live on.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{Api, ResourceExt as _, api::DeleteParams};
use roost_tests::{
    Roost,
    cluster::{PATIENCE, RUNTIME_NAMESPACE},
    eventually,
    tenant::find_condition,
};
use serde_json::{Value, json};

/// The NetworkPolicy that a class owns.
async fn policy(roost: &Roost, class: &str) -> Result<Option<NetworkPolicy>> {
    let policies: Api<NetworkPolicy> = Api::namespaced(roost.client.clone(), RUNTIME_NAMESPACE);
    let owned = |policy: &NetworkPolicy| policy.owner_references().iter().any(|owner| owner.name == class);
    Ok(policies.list(&kube::api::ListParams::default()).await?.items.into_iter().find(owned))
}

/// Waits until the class's policy lets out to exactly these peers and ports; none means no policy.
async fn lets_out(roost: &Roost, class: &str, wanted: Option<Value>) -> Result<Option<NetworkPolicy>> {
    eventually(&format!("egress of {class} is {wanted:?}"), PATIENCE, || async {
        let found = policy(roost, class).await.map_err(|error| error.to_string())?;
        let egress =
            found.as_ref().map(|policy| json!(policy.spec.as_ref().and_then(|spec| spec.egress.as_ref())));
        if egress == wanted { Ok(found) } else { Err(format!("{egress:?}")) }
    })
    .await
}

// The cluster of these tests accepts NetworkPolicies without enforcing them, so this is about the objects.
#[tokio::test]
#[ignore = "needs the test cluster"]
async fn egress_rules_of_a_class_become_its_network_policy() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost
        .class("egress", "10m", |spec| {
            spec["storage"]["egress"] = json!([{"namespace": "roost-s3", "ports": [8333]}]);
        })
        .await?;
    let tcp = |port: i32| json!([{"protocol": "TCP", "port": port}]);
    let bucket = json!({
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "roost-s3"}}}],
        "ports": tcp(8333),
    });
    let found = lets_out(&roost, &class, Some(json!([bucket]))).await?.context("no policy")?;
    let spec = found.spec.context("a policy without spec")?;
    ensure!(spec.policy_types == Some(vec!["Egress".to_owned()]), "{:?}", spec.policy_types);

    // It selects the pods of this class.
    let selector =
        spec.pod_selector.and_then(|selector| selector.match_labels).context("selects everything")?;
    let shop = roost.namespace("egress").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "SELECT 1").await?;
    let pod = roost.pod_of(&uid).await?;
    let labels = pod.labels();
    ensure!(selector.len() >= 2, "{selector:?} selects pods of other classes");
    ensure!(selector.iter().all(|(name, value)| labels.get(name) == Some(value)), "{selector:?} {labels:?}");

    let rules = json!([{"namespace": "roost-s3", "ports": [8333]}, {"cidr": "203.0.113.0/24"}]);
    roost.change_class(&class, &json!({"storage": {"egress": rules}})).await?;
    let range = json!({"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": tcp(443)});
    lets_out(&roost, &class, Some(json!([bucket, range]))).await?;
    roost.change_class(&class, &json!({"storage": {"egress": null}})).await?;
    lets_out(&roost, &class, None).await?;

    // It goes with the class.
    roost.change_class(&class, &json!({"storage": {"egress": [{"cidr": "203.0.113.0/24"}]}})).await?;
    lets_out(&roost, &class, Some(json!([range]))).await?;
    shop.delete("Tenant", "acme").await?;
    roost.classes().delete(&class, &DeleteParams::default()).await?;
    lets_out(&roost, &class, None).await?;
    ensure!(
        roost
            .classes()
            .get_opt(&class)
            .await?
            .is_none_or(|class| class.metadata.deletion_timestamp.is_some())
    );
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_pod_that_dies_again_and_again_is_told_and_recovers_with_its_class() -> Result<()> {
    let roost = Roost::connect().await?;
    let resources = |memory: &str| json!({"requests": {"memory": memory}, "limits": {"memory": memory}});
    let class = roost.class("loop", "10m", |spec| spec["runtime"]["resources"] = resources("24Mi")).await?;
    let shop = roost.namespace("loop").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    let tenant = eventually("it counts as a loop", PATIENCE, || async {
        let _refused = shop.query("acme", "SELECT 1").await.map_err(|error| error.to_string())?;
        let tenant = shop.api("Tenant").get("acme").await.map_err(|error| error.to_string())?;
        let ready = find_condition(&tenant, "Ready");
        if ready["reason"] == "CrashLooping" { Ok(tenant) } else { Err(ready.to_string()) }
    })
    .await?;
    ensure!(find_condition(&tenant, "Available")["status"] == "False");
    ensure!(find_condition(&tenant, "Stalled")["status"] == "True");
    let message = find_condition(&tenant, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    println!("{message}");
    ensure!(message.contains("memory") && message.contains("times"), "{message}");

    roost.change_class(&class, &json!({"runtime": {"resources": resources("1Gi")}})).await?;
    shop.answers("acme", "SELECT 1", 1).await?;
    shop.condition("Tenant", "acme", "Ready", "True", Some("Serving")).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_pod_that_the_cluster_refuses_is_a_failed_wake_until_one_succeeds() -> Result<()> {
    let roost = Roost::connect().await?;
    let class =
        roost.class("refused", "10m", |spec| spec["runtime"]["runtimeClassName"] = json!("nowhere")).await?;
    let shop = roost.namespace("refused").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.query("acme", "SELECT 1").await?.problem()?;
    let tenant = shop.condition("Tenant", "acme", "Ready", "False", Some("WakeFailed")).await?;
    let message = find_condition(&tenant, "Ready")["message"].to_string();
    ensure!(message.contains("nowhere"), "{message}");
    ensure!(find_condition(&tenant, "Available")["status"] == "False");

    roost.change_class(&class, &json!({"runtime": {"runtimeClassName": null}})).await?;
    shop.answers("acme", "SELECT 1", 1).await?;
    let tenant = shop.condition("Tenant", "acme", "Ready", "True", Some("Serving")).await?;
    ensure!(tenant.data["status"]["wakeFailure"].is_null(), "{}", tenant.data["status"]);
    Ok(())
}
