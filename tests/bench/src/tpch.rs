//! TPC-H 1 to 22, with an empty cache and with a full one, beside DuckDB in this process on a local file.

use crate::{
    embedded::Embedded,
    figure::{Figure, Sample},
    life::Life,
    local_tenant::LocalTenant,
    place::millis,
};
use anyhow::Result;
use roost_protocol::durability::Durability;
use roost_tests::Roost;
use std::time::Instant;

#[path = "../../../engine/tests/tpch/mod.rs"]
mod data;

const ROUNDS: usize = 8;
/// Orders of the small data set, and of this one: 3,000,000 line items.
const ORDERS: (&str, &str) = ("range(1, 5001)", "range(1, 750001)");

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tpch.duckdb");
    let path = file.clone();
    tokio::task::spawn_blocking(move || make(&path)).await??;
    let tenant = LocalTenant::from_file(roost, "tpch", &file).await?;
    let (mut cold, mut warm, mut theirs) = (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..ROUNDS {
        let life = tenant.open(Durability::Synchronous).await?;
        cold.push(all(&life).await?);
        warm.push(all(&life).await?);
        life.seal().await.map_err(anyhow::Error::msg)?;
        drop(life);
        let path = file.clone();
        theirs.push(tokio::task::spawn_blocking(move || embedded(&path)).await??);
    }
    let beside = "embedded, warm";
    Ok(vec![
        Figure::median("tpch.cold", &cold, "ms").beside(theirs.median(), beside),
        Figure::median("tpch.warm", &warm, "ms").beside(theirs.median(), beside),
    ])
}

fn make(file: &std::path::Path) -> Result<()> {
    let mut embedded = Embedded::on(file)?;
    embedded.run(data::SCHEMA)?;
    embedded.run(&data::DATA.replace(ORDERS.0, ORDERS.1))?;
    embedded.close()
}

/// Milliseconds of all queries.
async fn all(life: &Life) -> Result<f64> {
    let begun = Instant::now();
    for query in data::queries() {
        life.run(query).await.map_err(anyhow::Error::msg)?;
    }
    Ok(millis(begun.elapsed()))
}

/// Milliseconds of all queries after a first time, with the memory and threads of ours.
fn embedded(file: &std::path::Path) -> Result<f64> {
    let mut embedded = Embedded::on(file)?;
    embedded.run("SET memory_limit = '1GiB'; SET threads = 2")?;
    let mut took = 0.0;
    for _ in 0..2 {
        let begun = Instant::now();
        for query in data::queries() {
            embedded.stream(query, |_| Ok(()))?;
        }
        took = millis(begun.elapsed());
    }
    Ok(took)
}
