//! Which namespaces a class is for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;

/// Longest time that the server may take to notice a new class or label.
const NOTICED: Duration = Duration::from_secs(20);

/// Waits for the server's answer: it knows classes and labels by watching them.
async fn answers(cluster: &Cluster, object: &Value, accepted: bool) {
    let deadline = Instant::now() + NOTICED;
    loop {
        match (cluster.try_create(object).await, accepted) {
            (Ok(()), true) => return,
            (Err(message), false) if message.contains("its allowedNamespaces do not select") => return,
            (answer, _) => {
                assert!(Instant::now() < deadline, "{object}: {answer:?}, accepted should be {accepted}");
            }
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_class_is_taken_only_where_it_is_allowed() {
    let cluster = Cluster::connect().await;
    let class = |allowed: Value| {
        let storage = json!({"bucket": "tenants", "credentials": {"secretRef": {"name": "no-such-secret"}}});
        let mut spec = json!({"storage": storage});
        if !allowed.is_null() {
            spec["allowedNamespaces"] = allowed;
        }
        json!({"kind": "TenantClass", "spec": spec})
    };
    let open = cluster.create("open", &class(json!(null))).await;
    let name = |class: &kube::api::DynamicObject| class.metadata.name.clone().unwrap();
    let taking = |class: &str| {
        [
            json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"className": class}}),
            json!({"kind": "Branch", "metadata": {"name": "dev"}, "spec": {"tenantName": "acme", "className": class}}),
        ]
    };
    let one = |operator: &str, values: Value| {
        let mut requirement = json!({"key": "team", "operator": operator});
        if !values.is_null() {
            requirement["values"] = values;
        }
        json!({"matchExpressions": [requirement]})
    };
    let mut classes = Vec::new();
    // allowedNamespaces; for namespaces with team=gold; for ones without the label.
    for (index, (selector, of_gold, of_bare)) in [
        (json!({}), true, true),
        (json!({"matchLabels": {"team": "gold"}}), true, false),
        (json!({"matchLabels": {"team": "gold", "env": "prod"}}), false, false),
        (json!({"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}}), true, true),
        (one("In", json!(["silver", "gold"])), true, false),
        (one("NotIn", json!(["gold"])), false, true),
        (one("Exists", json!(null)), true, false),
        (one("DoesNotExist", json!(null)), false, true),
    ]
    .into_iter()
    .enumerate()
    {
        classes.push((
            cluster.create(&format!("restricted-{index}"), &class(selector)).await,
            of_gold,
            of_bare,
        ));
    }
    for (label, of) in [(None, 2), (Some("gold"), 1)] {
        cluster.label("team", label).await;
        for (class, of_gold, of_bare) in &classes {
            for object in taking(&name(class)) {
                answers(&cluster, &object, if of == 1 { *of_gold } else { *of_bare }).await;
            }
        }
        for object in taking(&name(&open)) {
            answers(&cluster, &object, true).await;
        }
    }

    // What has a class keeps it, and takes another only where that is allowed.
    let gold = name(&classes[1].0);
    let stored = cluster.create("kept", &json!({"kind": "Tenant", "spec": {"className": gold}})).await;
    cluster.label("team", None).await;
    answers(&cluster, &taking(&gold)[0], false).await;
    cluster.try_replace(&stored, &json!({"className": gold, "idleTimeout": "1m"})).await.unwrap();
    cluster.try_replace(&stored, &json!({"className": name(&open)})).await.unwrap();
    let refused = cluster.try_replace(&stored, &json!({"className": name(&classes[4].0)})).await;
    assert!(refused.is_err_and(|message| message.contains("its allowedNamespaces do not select")));

    cluster.remove().await;
    for (class, ..) in classes {
        cluster.delete(&class).await;
    }
    cluster.delete(&open).await;
}
