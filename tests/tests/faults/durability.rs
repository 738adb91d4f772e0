//! Promises of the durabilities while the bucket is away, and their cost.

use anyhow::{Context, Result, ensure};
use kube::ResourceExt as _;
use reqwest::StatusCode;
use roost_protocol::{names::DURABILITY_HEADER, problem::ErrorCode};
use roost_tests::{
    Answer, Roost, S3Proxy, TestNamespace, cluster::PATIENCE, eventually, pod::signal, s3_proxy::Fault,
    tenant::find_condition,
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Time for which the bucket is away in the long version.
const LONG: Duration = Duration::from_mins(10);

async fn ask(shop: &TestNamespace, durability: &str, sql: &str) -> Result<Answer> {
    let body = json!({"sql": sql, "timeout": "3s"});
    let request = shop.roost.http.post(shop.url("acme")).bearer_auth(&shop.token).json(&body);
    Answer::read(request.header(DURABILITY_HEADER, durability).send().await?).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn an_asynchronous_tenant_answers_while_the_bucket_is_away() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let proxy = S3Proxy::start(&roost).await?;
    let class = roost
        .class("async", "10m", |spec| {
            proxy.through()(spec);
            spec["durability"] = json!("Asynchronous");
        })
        .await?;
    let shop = roost.namespace("async").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    ask(&shop, "synchronous", "CREATE TABLE t (i INT)").await?.rows()?;
    let shown = shop.api("Tenant").get("acme").await?;
    ensure!(shown.data["status"]["durability"] == "Asynchronous", "{}", shown.data["status"]);

    proxy.set(Fault::Refuse, 1);
    // Its class allows it, and it says nothing: at once.
    shop.run("acme", "INSERT INTO t VALUES (1)").await?;
    // Also one that only a publish can keep.
    shop.run("acme", "CREATE TYPE mood AS ENUM ('sad', 'happy')").await?;
    // One that wants to be sure is told that nobody knows.
    let problem = ask(&shop, "synchronous", "INSERT INTO t VALUES (2)").await?.problem()?;
    ensure!(problem.code == ErrorCode::OutcomeUnknown, "{problem}");
    proxy.set(Fault::None, 1);
    // What a synchronous answer tells is in the bucket.
    eventually("both are seen", PATIENCE, || async {
        let answer = ask(&shop, "synchronous", "SELECT count(*) FROM t").await;
        let count = answer.and_then(|answer| answer.integer()).map_err(|error| format!("{error:#}"))?;
        if count == 2 { Ok(()) } else { Err(count.to_string()) }
    })
    .await?;
    let pod = roost.pod_of(&uid).await?;
    signal(&pod.uid().context("no uid")?, "tenant-runtime", "KILL")?;
    shop.answers("acme", "SELECT count(*) FROM t", 2).await?;
    shop.answers("acme", "SELECT count(*) FROM t WHERE 'happy'::mood > 'sad'::mood", 2).await?;
    shop.verified("acme").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn relaxed_reads_go_on_while_the_bucket_is_away() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let proxy = S3Proxy::start(&roost).await?;
    let strict = roost.class("strict", "10m", proxy.through()).await?;
    let relaxed = roost
        .class("relaxed", "10m", |spec| {
            proxy.through()(spec);
            spec["reads"] = json!("Relaxed");
        })
        .await?;
    let shop = roost.namespace("relaxed").await?;
    shop.tenant("acme", json!({"className": relaxed})).await?;
    shop.tenant("strict", json!({"className": strict})).await?;
    shop.run("acme", "CREATE TABLE t AS SELECT 1 AS i").await?;
    shop.answers("strict", "SELECT 1", 1).await?;

    let began = Instant::now();
    proxy.set(Fault::Refuse, 1);
    eventually("strict answers are held back", PATIENCE, || async {
        let answer = shop.query("strict", "SELECT 1").await.map_err(|error| error.to_string())?;
        answer.problem().map(drop).map_err(|error| error.to_string())
    })
    .await?;
    shop.answers("acme", "SELECT count(*) FROM t", 1).await?;
    // A write is no read: it may be lost, and is seen.
    let problem = ask(&shop, "synchronous", "INSERT INTO t VALUES (2)").await?.problem()?;
    ensure!(problem.code == ErrorCode::OutcomeUnknown, "{problem}");
    shop.answers("acme", "SELECT count(*) FROM t", 2).await?;
    if crate::chaos() {
        outlast(&shop, began + LONG).await?;
    }
    proxy.set(Fault::None, 1);
    eventually("writes go on", PATIENCE, || async {
        let answer =
            ask(&shop, "synchronous", "INSERT INTO t SELECT 3 WHERE NOT EXISTS (FROM t WHERE i = 3)").await;
        answer.and_then(|answer| answer.rows().map(drop)).map_err(|error| format!("{error:#}"))
    })
    .await?;
    shop.answers("acme", "SELECT count(*) FROM t WHERE i < 9", 3).await?;
    shop.answers("strict", "SELECT 1", 1).await?;
    for tenant in ["acme", "strict"] {
        shop.verified(tenant).await?;
    }
    Ok(())
}

/// Reads all the time, and writes until they are refused at once.
async fn outlast(shop: &TestNamespace, until: Instant) -> Result<()> {
    let mut paused = false;
    while Instant::now() < until {
        shop.answers("acme", "SELECT count(*) FROM t WHERE i < 3", 2).await?;
        if !paused {
            let problem = ask(shop, "synchronous", "INSERT INTO t VALUES (9)").await?.problem()?;
            paused = problem.code == ErrorCode::WritesPaused;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    ensure!(paused, "writes were not refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn nothing_is_weaker_than_its_class() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let class = roost.class("floor", "10m", |_| ()).await?;
    let shop = roost.namespace("floor").await?;
    shop.tenant("acme", json!({"className": class, "durability": "Asynchronous"})).await?;
    let shown = shop.condition("Tenant", "acme", "Ready", "True", None).await?;
    ensure!(shown.data["status"]["durability"] == "Synchronous", "{}", shown.data["status"]);
    ensure!(find_condition(&shown, "Available")["status"] == "True");
    for (asked, word) in [("asynchronous", "class"), ("fast", "asynchronous")] {
        let refused = ask(&shop, asked, "SELECT 1").await?;
        ensure!(refused.status == StatusCode::BAD_REQUEST, "{asked}: {}", refused.status);
        let problem = refused.problem()?;
        ensure!(problem.detail.contains(word), "{problem}");
    }
    ask(&shop, "synchronous", "SELECT 1").await?.rows()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn beyond_its_budget_commits_share_writes() -> Result<()> {
    const CLIENTS: i64 = 8;
    const ROUNDS: i64 = 6;
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let budget = json!({"burst": 1, "perSecond": 1});
    let class = roost.class("budget", "10m", |spec| spec["storage"]["putBudget"] = budget).await?;
    let shop = roost.namespace("budget").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t (i INT)").await?;
    let clients = (0..CLIENTS).map(|_| async {
        for round in 0..ROUNDS {
            shop.run("acme", &format!("INSERT INTO t VALUES ({round})")).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(clients).await?;
    let report = shop.verified("acme").await?;
    let slots = roost.bucket.keys(&format!("{}branches/main/wal/", report.location)).await?.len();
    let commits = usize::try_from(CLIENTS * ROUNDS)?;
    println!("{commits} commits in {slots} segments");
    ensure!(slots * 2 <= commits, "{commits} commits took {slots} writes");
    shop.answers("acme", "SELECT count(*) FROM t", CLIENTS * ROUNDS).await?;
    Ok(())
}
