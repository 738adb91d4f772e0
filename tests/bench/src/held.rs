//! Cost of a commit that DuckDB cannot replay: it waits for a publish.

use crate::{
    figure::{Figure, Sample},
    life::{self, Life},
    local_tenant::LocalTenant,
    place::millis,
};
use anyhow::Result;
use roost_protocol::durability::Durability;
use roost_tests::Roost;
use std::time::{Duration, Instant};

/// Commits alone, each after a pause in which nothing is left to publish.
const ALONE: usize = 20;
/// Commits one after the other, and in one request: about what a run of dbt makes.
const MANY: usize = 200;
/// More rows than a reader that does not read on is given.
const PAUSED: &str = "SELECT t.i, repeat('x', 200) FROM range(40000000) r(i), t LIMIT 40000000";

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let tenant = LocalTenant::new(roost, "held").await?;
    let life = tenant.open(Durability::Synchronous).await?;
    let _publishing = life.publish_as_served();
    ask(&life, "CREATE TABLE t (i BIGINT, s VARCHAR)").await?;
    ask(&life, "INSERT INTO t SELECT i, hash(i)::VARCHAR FROM range(100000) r(i)").await?;
    let mut plain = Sample::default();
    let mut alone = Sample::default();
    for n in 0..ALONE {
        plain.push(timed(&life, &format!("INSERT INTO t VALUES ({n}, 'a small row')")).await?);
        life.publish().await.map_err(anyhow::Error::msg)?;
        alone.push(timed(&life, &format!("CREATE INDEX a{n} ON t (i)")).await?);
        ask(&life, &format!("DROP INDEX a{n}")).await?;
    }
    let begun = Instant::now();
    for n in 0..MANY {
        ask(&life, &format!("CREATE TYPE m{n} AS ENUM ('a', 'b')")).await?;
    }
    let sequence = millis(begun.elapsed());
    let script: Vec<_> = (0..MANY).map(|n| format!("CREATE TYPE o{n} AS ENUM ('a', 'b')")).collect();
    let together = timed(&life, &script.join("; ")).await?;
    let mut beside = Sample::default();
    // A reader that stands still; the held commit changes what it sees.
    let reader = life::start(&life.served.engine, PAUSED, Duration::from_mins(5)).await;
    let mut reader = reader.map_err(|error| anyhow::anyhow!("{error}"))?;
    let _first = reader.next().await;
    beside.push(timed(&life, "ALTER TABLE t ADD COLUMN j INTEGER DEFAULT 7").await?);
    drop(reader);
    life.seal().await.map_err(anyhow::Error::msg)?;
    let reference = "a commit that can be replayed";
    #[allow(clippy::cast_precision_loss, reason = "a mean in a report")]
    let each = |total: f64| total / MANY as f64;
    Ok(vec![
        Figure::median("held.alone", &alone, "ms").beside(plain.median(), reference),
        Figure::new("held.each_of_200_in_sequence", each(sequence), "ms").beside(plain.median(), reference),
        Figure::new("held.each_of_200_in_one_request", each(together), "ms")
            .beside(plain.median(), reference),
        Figure::median("held.beside_a_paused_reader", &beside, "ms").beside(plain.median(), reference),
    ])
}

async fn ask(life: &Life, sql: &str) -> Result<()> {
    life.run(sql).await.map(drop).map_err(anyhow::Error::msg)
}

/// Milliseconds until it is acknowledged.
async fn timed(life: &Life, sql: &str) -> Result<f64> {
    let begun = Instant::now();
    ask(life, sql).await?;
    Ok(millis(begun.elapsed()))
}
