//! A reader that stops: memory of runtime and gateway stays where it was, and the rest arrives intact.

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use kube::{Api, ResourceExt, api::ListParams};
use roost_tests::{
    Roost,
    cluster::{PATIENCE, SYSTEM_NAMESPACE},
    eventually,
    pod::anonymous_bytes,
};
use serde_json::json;
use std::sync::Mutex;

const ROWS: u64 = 4_000_000;
/// Bytes of one CSV line of the result, with its CRLF.
const LINE: u64 = 1_000;
/// Bytes of memory that a process may gain while the reader stands still.
const BOUND: u64 = 64 * 1024 * 1024;

/// Memory of the pods with these UIDs, once it stands still.
async fn settled(pods: &[String]) -> Result<Vec<u64>> {
    let last = Mutex::new((Vec::new(), 0));
    eventually("memory stands still", PATIENCE, || async {
        let now: Result<Vec<u64>> = pods.iter().map(|uid| anonymous_bytes(uid)).collect();
        let now = now.map_err(|error| error.to_string())?;
        let mut last = last.lock().map_err(|error| error.to_string())?;
        let still =
            last.0.len() == now.len() && now.iter().zip(&last.0).all(|(a, b)| a.abs_diff(*b) < 1 << 20);
        last.1 = if still { last.1 + 1 } else { 0 };
        last.0.clone_from(&now);
        if last.1 >= 10 { Ok(now) } else { Err(format!("{now:?}")) }
    })
    .await
}

/// The answer so far, compared with what it has to be.
#[derive(Default)]
struct Received {
    bytes: u64,
}

impl Received {
    const HEADER: &str = "x\r\n";

    /// Checks the next bytes; whole slices at a time, as there are four billion of them.
    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        let line = format!("{}\r\n", "x".repeat(usize::try_from(LINE)? - 2));
        while !bytes.is_empty() {
            let header = Self::HEADER.len() as u64;
            let expected = match self.bytes.checked_sub(header) {
                None => &Self::HEADER[usize::try_from(self.bytes)?..],
                Some(at) => &line[usize::try_from(at % LINE)?..],
            };
            let (now, rest) = bytes.split_at(expected.len().min(bytes.len()));
            ensure!(now == &expected.as_bytes()[..now.len()], "wrong bytes after {}", self.bytes);
            self.bytes += now.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn is_all(&self) -> Result<()> {
        ensure!(self.bytes == Self::HEADER.len() as u64 + ROWS * LINE, "{} bytes", self.bytes);
        Ok(())
    }
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_reader_that_stops_costs_no_memory_and_loses_nothing() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("slow", "10m", |_| ()).await?;
    let shop = roost.namespace("slow").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "SELECT count(*) FROM range(1000000)").await?;

    let gateways: Api<k8s_openapi::api::core::v1::Pod> =
        Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
    let gateways =
        gateways.list(&ListParams::default().labels("app.kubernetes.io/name=roost-gateway")).await?;
    let mut pods: Vec<_> = gateways.items.iter().filter_map(ResourceExt::uid).collect();
    ensure!(pods.len() == 2, "{} gateways", pods.len());
    pods.push(roost.pod_of(&uid).await?.uid().context("no uid")?);
    let before = settled(&pods).await?;

    let sql = format!("SELECT repeat('x', {}) AS x FROM range({ROWS})", LINE - 2);
    let response = shop.post("acme", &shop.token, &json!({"sql": sql, "format": "csv"})).await?;
    ensure!(response.status().is_success(), "{}", response.status());
    let mut body = response.bytes_stream();
    let first = body.next().await.context("an empty answer")??;
    let after = settled(&pods).await?;
    for (before, after) in before.iter().zip(&after) {
        ensure!(after.saturating_sub(*before) < BOUND, "grew from {before} to {after} bytes");
    }

    // The rest: every byte is there and is what it should be.
    let mut received = Received::default();
    received.take(&first)?;
    while let Some(chunk) = body.next().await {
        received.take(&chunk?)?;
    }
    received.is_all()?;
    println!("memory before {before:?}, while the reader stood still {after:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_client_that_leaves_stops_its_query() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("leave", "10m", |_| ()).await?;
    let shop = roost.namespace("leave").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t (i INT)").await?;
    let id = "7d8a2f0e-8f4b-4f39-9d53-4c0a6a1f2b11";
    let sql = "SELECT count(*) FROM range(1000000000000) a(i) WHERE i % 7 = 3";
    let request = roost
        .http
        .post(shop.url("acme"))
        .bearer_auth(&shop.token)
        .header("roost-query-id", id)
        .json(&json!({"sql": sql}))
        .send();
    let status = |id: &str| {
        let url = format!("{}/v1/namespaces/{}/tenants/acme/queries/{id}", roost.gateway, shop.name);
        roost.http.get(url).bearer_auth(&shop.token).send()
    };
    let running = async {
        eventually("the query runs", PATIENCE, || async {
            let status = status(id).await.map_err(|error| error.to_string())?.status();
            if status.is_success() { Ok(()) } else { Err(status.to_string()) }
        })
        .await
    };
    // The request is dropped, and its connection with it, as soon as the query is seen running.
    tokio::select! {
        answer = request => anyhow::bail!("the endless query answered: {answer:?}"),
        seen = running => seen?,
    }
    eventually("the query is gone", PATIENCE, || async {
        let status = status(id).await.map_err(|error| error.to_string())?.status();
        if status == 404 { Ok(()) } else { Err(status.to_string()) }
    })
    .await?;
    ensure!(shop.query("acme", "SELECT 1").await?.integer()? == 1);
    Ok(())
}
