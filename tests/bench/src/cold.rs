//! Databases of several sizes, opened with an empty cache: what a lookup fetches, what a branch and a moment take. And how
//! long the WAL of a dead process takes to replay.

use crate::{
    embedded,
    figure::{Figure, Sample},
    life::Life,
    local_tenant::LocalTenant,
    place::{megabytes, millis},
};
use anyhow::{Result, ensure};
use roost_protocol::durability::Durability;
use roost_store::{BranchName, BranchObject, BranchSource};
use roost_tests::{Roost, cluster::random_suffix};
use std::time::Instant;

/// Databases: name and bytes.
const SIZES: [(&str, u64); 3] = [("10mb", 10_000_000), ("1gb", 1_000_000_000), ("5gb", 5_000_000_000)];
const ROUNDS: usize = 5;
const LOOKUP: &str = "SELECT h FROM data WHERE i = 4711";

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, bytes) in SIZES {
        figures.extend(of_size(roost, name, bytes).await?);
    }
    let bulk = "INSERT INTO t SELECT i, hash(i)::VARCHAR FROM range(100000) r(i)";
    figures.extend(replay(roost, "bulk", bulk, 8).await?);
    figures.extend(replay(roost, "small", "INSERT INTO t VALUES (1, 'a small row')", 2_000).await?);
    Ok(figures)
}

async fn of_size(roost: &Roost, name: &str, bytes: u64) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("made.duckdb");
    let path = file.clone();
    tokio::task::spawn_blocking(move || embedded::make_file(&path, bytes)).await??;
    let size = std::fs::metadata(&file)?.len();
    let tenant = LocalTenant::from_file(roost, "cold", &file).await?;
    drop(folder);
    // A publish of ours, from which on the manifest says what opening reads.
    let life = tenant.open(Durability::Synchronous).await?;
    run_in(&life, "INSERT INTO data VALUES (-1, 0)").await?;
    life.seal().await.map_err(anyhow::Error::msg)?;
    drop(life);
    let (mut fetched, mut requests, mut open, mut answer) =
        (Sample::default(), Sample::default(), Sample::default(), Sample::default());
    for _ in 0..ROUNDS {
        let (store, counted) = tenant.counted()?;
        let begun = Instant::now();
        let life = Life::open(&store, &tenant.cache(), Durability::Synchronous).await;
        let life = life.map_err(anyhow::Error::msg)?;
        open.push(millis(begun.elapsed()));
        run_in(&life, LOOKUP).await?;
        answer.push(millis(begun.elapsed()));
        #[allow(clippy::cast_precision_loss, reason = "a count in a report")]
        requests.push(counted.requests() as f64);
        fetched.push(megabytes(life.served.database.cache_counts().fetched_bytes));
        life.seal().await.map_err(anyhow::Error::msg)?;
    }
    let mut figures = vec![
        Figure::median(format!("cold.{name}_fetched"), &fetched, "MB")
            .beside(megabytes(size), "the whole file"),
        Figure::median(format!("cold.{name}_requests"), &requests, ""),
        Figure::median(format!("cold.{name}_open"), &open, "ms"),
        Figure::median(format!("cold.{name}_answer"), &answer, "ms"),
    ];
    let (mut branch, mut moment) = (Sample::default(), Sample::default());
    let now = jiff::Timestamp::now();
    for _ in 0..ROUNDS {
        branch.push(branched(&tenant, BranchSource::Branch(BranchName::main())).await?);
        moment.push(branched(&tenant, BranchSource::Moment(BranchName::main(), now)).await?);
    }
    figures.push(Figure::median(format!("branch.{name}"), &branch, "ms").beside(150.0, "the goal"));
    figures.push(Figure::median(format!("moment.{name}"), &moment, "ms").beside(150.0, "the goal"));
    Ok(figures)
}

/// Milliseconds until a branch is made.
async fn branched(tenant: &LocalTenant, source: BranchSource) -> Result<f64> {
    let name = format!("b-{}", random_suffix());
    let begun = Instant::now();
    tenant
        .store()?
        .create_branch(&BranchName::new(name.clone())?, BranchObject { name: &name, uid: &name }, &source)
        .await?;
    Ok(millis(begun.elapsed()))
}

/// The opening after a death with so many of these commits in the WAL, beside one after a seal.
async fn replay(roost: &Roost, name: &str, commit: &str, count: usize) -> Result<Vec<Figure>> {
    let tenant = LocalTenant::new(roost, "replay").await?;
    let (mut dead, mut sealed, mut bytes) = (Sample::default(), Sample::default(), Sample::default());
    let life = tenant.open(Durability::Synchronous).await?;
    run_in(&life, "CREATE TABLE t (i BIGINT, s VARCHAR)").await?;
    life.seal().await.map_err(anyhow::Error::msg)?;
    for _ in 0..3 {
        let begun = Instant::now();
        let life = tenant.open(Durability::Synchronous).await?;
        sealed.push(millis(begun.elapsed()));
        for _ in 0..count {
            run_in(&life, commit).await?;
        }
        let unpublished = life.served.database.unpublished();
        ensure!(unpublished.commits >= count as u64, "they were published: {unpublished:?}");
        bytes.push(megabytes(unpublished.wal_bytes));
        life.crash();
        let begun = Instant::now();
        let life = tenant.open(Durability::Synchronous).await?;
        dead.push(millis(begun.elapsed()));
        life.seal().await.map_err(anyhow::Error::msg)?;
    }
    Ok(vec![
        Figure::median(format!("replay.{name}_wal"), &bytes, "MB"),
        Figure::median(format!("replay.{name}_open"), &dead, "ms").beside(sealed.median(), "after a seal"),
    ])
}

async fn run_in(life: &Life, sql: &str) -> Result<()> {
    life.run(sql).await.map(drop).map_err(anyhow::Error::msg)
}
