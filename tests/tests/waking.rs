//! The first query after an eviction goes the short way: the gateway knows that the pod has left. A program of its own:
//! it counts what the gateways did for all tenants.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use roost_tests::{
    Answer, Roost, TestNamespace,
    cluster::{PATIENCE, SYSTEM_NAMESPACE},
};
use serde_json::json;

/// Times that the tenant falls asleep and wakes.
const CYCLES: u64 = 5;
const GATEWAYS: &str = "app.kubernetes.io/name=roost-gateway";
/// Ports of the gateway's pods.
const CLIENT_PORT: u16 = 8080;
const METRICS_PORT: u16 = 9090;

/// Addresses of the gateway's replicas.
async fn replicas(roost: &Roost) -> Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
    let pods = pods.list(&ListParams::default().labels(GATEWAYS)).await?.items;
    let serving = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    serving
        .map(|pod| pod.status.and_then(|status| status.pod_ip).context("a gateway without address"))
        .collect()
}

/// Sum of a counter over replicas of the gateway.
async fn counted(roost: &Roost, replicas: &[String], counter: &str) -> Result<u64> {
    let mut sum = 0;
    for replica in replicas {
        let response = roost.http.get(format!("http://{replica}:{METRICS_PORT}/metrics")).send().await?;
        let metrics = response.error_for_status()?.text().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix("_total "));
        sum += value.with_context(|| format!("no {counter} in\n{metrics}"))?.parse::<u64>()?;
    }
    Ok(sum)
}

/// Asks one replica of the gateway, and no other.
async fn ask(shop: &TestNamespace, replica: &str) -> Result<Answer> {
    let url = format!("http://{replica}:{CLIENT_PORT}/v1/namespaces/{}/tenants/acme/query", shop.name);
    let request = shop.roost.http.post(url).bearer_auth(&shop.token);
    Answer::read(request.json(&json!({"sql": "SELECT i FROM t"})).send().await?).await
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn the_first_query_after_an_eviction_calls_no_pod_that_has_left() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("waking", "5s", |_| ()).await?;
    let shop = roost.namespace("waking").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 7 AS i").await?;

    let replicas = replicas(&roost).await?;
    let failures = || counted(&roost, &replicas, "roost_gateway_proxy_connect_failures");
    let departures = || counted(&roost, &replicas, "roost_gateway_proxy_departures");
    let (failed, departed) = (failures().await?, departures().await?);
    let mut first = replicas.iter().cycle();
    for cycle in 0..CYCLES {
        // Every replica knows the pod that is about to leave, and another one asks first each time.
        for replica in first.by_ref().take(replicas.len() + 1) {
            let answer = ask(&shop, replica).await?;
            ensure!(answer.integer()? == 7, "cycle {cycle}: {answer:?}");
        }
        shop.asleep(&uid, PATIENCE).await?;
    }
    ensure!(ask(&shop, &replicas[0]).await?.integer()? == 7);
    ensure!(failures().await? == failed, "a gateway called a pod that had left");
    let noticed = departures().await? - departed;
    let expected = CYCLES * u64::try_from(replicas.len())?;
    ensure!(noticed >= expected, "{noticed} departures were noticed by the gateway instead of {expected}");
    Ok(())
}
