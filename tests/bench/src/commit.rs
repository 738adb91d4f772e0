//! Cost of a durable commit beside one PUT, alone and with others; risk of asynchronous ones; time for which a publish
//! holds writers back.

use crate::{
    figure::{Figure, Sample},
    life::Life,
    local_tenant::LocalTenant,
    place::millis,
};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use roost_protocol::durability::Durability;
use roost_store::object::Condition;
use roost_tests::{Roost, cluster::random_suffix};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Time for which each number of clients writes.
const WRITING: Duration = Duration::from_secs(8);
/// PUTs that commits are compared with.
const PUTS: usize = 200;
/// Delay of requests to a bucket that is not on this machine.
const FAR: Duration = Duration::from_millis(30);
/// Bytes of a PUT: about what a segment of one small commit has.
const PUT_BYTES: usize = 700;
/// Publishes whose gate is timed.
const PUBLISHES: usize = 5;

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let here = LocalTenant::new(roost, "commit").await?;
    let far = LocalTenant::new(roost, "commit-far").await?.further(FAR);
    let mut figures = synchronous("sync", &here).await?;
    figures.extend(synchronous("far", &far).await?);
    figures.push(asynchronous(roost).await?);
    figures.push(gate(roost).await?);
    Ok(figures)
}

async fn synchronous(name: &str, tenant: &LocalTenant) -> Result<Vec<Figure>> {
    let life = Arc::new(tenant.open(Durability::Synchronous).await?);
    create(&life).await?;
    let mut figures = Vec::new();
    for clients in [1, 8, 32] {
        // Beside each: what else the machine does changes.
        let put = puts(tenant).await?;
        let commits = write(&life, clients, WRITING).await?;
        let name = format!("commit.{name}_{clients}");
        figures
            .push(Figure::new(format!("{name}_p50"), commits.median(), "ms").beside(put.median(), "one PUT"));
        figures.push(
            Figure::new(format!("{name}_p99"), commits.quantile(0.99), "ms")
                .beside(put.quantile(0.99), "one PUT"),
        );
        #[allow(clippy::cast_precision_loss, reason = "a rate in a report")]
        let rate = commits.count() as f64 / WRITING.as_secs_f64();
        figures.push(
            Figure::new(format!("{name}_rate"), rate, "commits/s")
                .beside(1e3 / put.median(), "PUTs one after the other"),
        );
        publish(&life).await?;
    }
    life.seal().await.map_err(anyhow::Error::msg)?;
    Ok(figures)
}

async fn asynchronous(roost: &Roost) -> Result<Figure> {
    let tenant = LocalTenant::new(roost, "lag").await?;
    let life = Arc::new(tenant.open(Durability::Asynchronous).await?);
    create(&life).await?;
    let stop = CancellationToken::new();
    let watching = tokio::spawn({
        let (life, stop) = (Arc::clone(&life), stop.clone());
        async move {
            let mut lags = Sample::default();
            while !stop.is_cancelled() {
                lags.push(millis(life.served.publisher.durable_lag()));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            lags
        }
    });
    write(&life, 8, WRITING).await?;
    stop.cancel();
    let lags = watching.await?;
    life.seal().await.map_err(anyhow::Error::msg)?;
    Ok(Figure::new("commit.async_lag_p99", lags.quantile(0.99), "ms").beside(1e3, "the promise"))
}

/// Time that a publish holds writers back with 16 MiB of WAL, with its checkpoint.
async fn gate(roost: &Roost) -> Result<Figure> {
    let tenant = LocalTenant::new(roost, "gate").await?;
    let life = Arc::new(tenant.open(Durability::Synchronous).await?);
    create(&life).await?;
    let mut closed = Sample::default();
    for _ in 0..PUBLISHES {
        while life.served.database.unpublished().wal_bytes < 16 << 20 {
            let batch = "INSERT INTO t SELECT i, hash(i)::VARCHAR FROM range(10000) r(i)";
            life.run(batch).await.map_err(anyhow::Error::msg)?;
        }
        let before = gate_seconds(&life)?;
        publish(&life).await?;
        closed.push((gate_seconds(&life)? - before) * 1e3);
    }
    life.seal().await.map_err(anyhow::Error::msg)?;
    Ok(Figure::median("publish.gate_closed_16mib", &closed, "ms"))
}

fn gate_seconds(life: &Life) -> Result<f64> {
    let text = life.metrics.render(&tenant_runtime::lifecycle::Lifecycle::default())?;
    let name = "roost_runtime_publish_gate_closed_seconds_sum ";
    let sum = text.lines().find_map(|found| found.strip_prefix(name)).context("no such metric")?;
    Ok(sum.parse()?)
}

async fn create(life: &Life) -> Result<()> {
    life.run("CREATE TABLE t (i BIGINT, s VARCHAR)").await.map(drop).map_err(anyhow::Error::msg)
}

async fn publish(life: &Life) -> Result<()> {
    life.publish().await.map_err(anyhow::Error::msg)
}

/// Milliseconds of each commit of so many clients.
async fn write(life: &Arc<Life>, clients: usize, time: Duration) -> Result<Sample> {
    let until = Instant::now() + time;
    let writers: Vec<_> = (0..clients)
        .map(|client| {
            let life = Arc::clone(life);
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < until {
                    let begun = Instant::now();
                    life.run(&format!("INSERT INTO t VALUES ({client}, 'a small row')")).await?;
                    took.push(millis(begun.elapsed()));
                }
                Ok::<_, String>(took)
            })
        })
        .collect();
    let mut all = Vec::new();
    for writer in writers {
        all.extend(writer.await?.map_err(anyhow::Error::msg)?);
    }
    Ok(all.into_iter().collect())
}

/// Milliseconds of a PUT, one after the other, by the same client.
async fn puts(tenant: &LocalTenant) -> Result<Sample> {
    let mut took = Sample::default();
    for _ in 0..PUTS {
        let key = format!("{}/puts/{}", tenant.prefix, random_suffix());
        let bytes = Bytes::from(vec![7; PUT_BYTES]);
        let begun = Instant::now();
        tenant.bucket.put(&key, bytes, Condition::IfAbsent).await?;
        took.push(millis(begun.elapsed()));
    }
    Ok(took)
}
