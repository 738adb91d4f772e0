//! Access of clients: tokens, rights, and the internal boundary.

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use roost_protocol::problem::ErrorCode;
use roost_tests::{Answer, Roost, cluster::PATIENCE, eventually};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn tokens_and_rights_decide_who_connects() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("access", "30s", |_| ()).await?;
    let shop = roost.namespace("access").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 1 AS i").await?;

    let ask = async |token: &str, sql: &str| -> Result<Answer> {
        Answer::read(shop.post("acme", token, &json!({"sql": sql})).await?).await
    };

    // No token.
    let bare = roost.http.post(shop.url("acme")).json(&json!({"sql": "SELECT 1"})).send().await?;
    ensure!(Answer::read(bare).await?.problem()?.code == ErrorCode::Unauthenticated);
    // A token that is none.
    ensure!(ask("not-a-token", "SELECT 1").await?.problem()?.code == ErrorCode::Unauthenticated);
    // A token for the API server: refused, with the way to a right one.
    let problem = ask(&shop.token_of("app", &[]).await?, "SELECT 1").await?.problem()?;
    ensure!(problem.code == ErrorCode::Unauthenticated, "{problem}");
    let advice = format!("{} {}", problem.detail, problem.particulars().hint.as_deref().unwrap_or_default());
    ensure!(advice.contains("--audience=roostdb.dev"), "{advice}");
    // A token without any right.
    roost
        .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "stranger", "namespace": shop.name}}))
        .await?;
    let stranger = shop.token_of("stranger", &["roostdb.dev"]).await?;
    ensure!(ask(&stranger, "SELECT 1").await?.problem()?.code == ErrorCode::Forbidden);
    // A reader reads and does not write.
    let reader = shop.user("reader", "roost-read").await?;
    eventually("the reader's right is known", PATIENCE, || async {
        let answer = ask(&reader, "SELECT i FROM t").await;
        match answer.and_then(|answer| answer.integer()) {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    ensure!(ask(&reader, "INSERT INTO t VALUES (2)").await?.problem()?.code == ErrorCode::ReadOnly);
    ensure!(shop.query("acme", "SELECT count(*) FROM t").await?.integer()? == 1);
    // Rights in one namespace are none in another.
    let other = roost.namespace("access").await?;
    let elsewhere = Answer::read(other.post("acme", &shop.token, &json!({"sql": "SELECT 1"})).await?).await?;
    ensure!(elsewhere.problem()?.code == ErrorCode::Forbidden);
    Ok(())
}

/// Answers that a neighbour in the cluster gets when it talks to a runtime pod itself.
#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_runtime_answers_nobody_but_the_gateway() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("trust", "5m", |_| ()).await?;
    let shop = roost.namespace("trust").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE secret AS SELECT 42 AS i").await?;
    let pod = roost.pod_of(&uid).await?;
    let address = pod.status.and_then(|status| status.pod_ip).context("no address")?;

    let url = format!("https://{address}:8443/v1/namespaces/{}/tenants/acme/query", shop.name);
    let curl = "curl -sk -m 10 -o /dev/stderr -w '\\n%{http_code}\\n' -H 'content-type: application/json' \
         -d '{\"sql\":\"FROM secret\"}'";
    let script = format!(
        "{curl} {url}; {curl} -H 'roost-session: e30.AAAA' {url}; \
         {curl} -H 'authorization: Bearer {}' {url}; \
         {curl} https://{address}:8443/internal/v1/grant; {curl} https://{address}:8443/internal/v1/command",
        shop.token
    );
    roost
        .apply(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "neighbour", "namespace": shop.name},
            "spec": {"restartPolicy": "Never", "containers": [{
                "name": "curl", "image": "localhost/toolbox:1", "imagePullPolicy": "Never",
                "command": ["sh", "-c", script],
            }]},
        }))
        .await?;
    let neighbour: kube::Api<k8s_openapi::api::core::v1::Pod> =
        kube::Api::namespaced(roost.client.clone(), &shop.name);
    eventually("the neighbour has asked", Duration::from_mins(1), || async {
        let pod = neighbour.get("neighbour").await.map_err(|error| error.to_string())?;
        let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
        if phase == "Succeeded" { Ok(()) } else { Err(phase) }
    })
    .await?;
    let log = neighbour.logs("neighbour", &kube::api::LogParams::default()).await?;
    let codes: Vec<_> = log.lines().filter(|line| line.len() == 3).collect();
    ensure!(codes.len() == 5, "{log}");
    ensure!(codes.iter().all(|code| code.starts_with('4')), "{log}");
    ensure!(!log.contains("42"), "{log}");
    // It still serves its own.
    ensure!(shop.query("acme", "SELECT i FROM secret").await?.integer()? == 42);
    ensure!(pod.metadata.uid == roost.pod_of(&uid).await?.uid(), "the pod changed");
    Ok(())
}
