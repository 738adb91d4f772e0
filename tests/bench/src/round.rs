//! A short round of what clients feel, for `tests/bench/compare`: the same figures of two builds, in turns.

use crate::{
    figure::{Figure, Sample},
    place::{Place, millis},
    scan::ITEMS,
};
use anyhow::Result;
use roost_tests::Roost;
use std::time::Instant;

/// Statements of each kind.
const SELECTS: usize = 400;
const COMMITS: usize = 150;
const SCANS: usize = 5;
const WAKES: usize = 3;
/// Statements before those that are counted.
const WARM: usize = 20;

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let place = Place::open(roost, "round", "1s").await?;
    let uid = place.tenant("shop").await?;
    place.shop.run("shop", "CREATE TABLE t (i BIGINT)").await?;
    place.shop.run("shop", ITEMS).await?;
    let selects = statements(&place, SELECTS, |_| "SELECT 42".into()).await?;
    let commits = statements(&place, COMMITS, |n| format!("INSERT INTO t VALUES ({n})")).await?;
    let mut scans = Sample::default();
    for _ in 0..SCANS {
        let (_, took) = place.fetch("shop", "SELECT * FROM items", "arrow").await?;
        scans.push(millis(took));
    }
    let mut wakes = Sample::default();
    for _ in 0..WAKES {
        place.asleep(&uid).await?;
        wakes.push(timed(&place, "SELECT count(*) FROM t").await?);
    }
    Ok(vec![
        Figure::median("round.select", &selects, "ms"),
        Figure::median("round.commit", &commits, "ms"),
        Figure::median("round.scan", &scans, "ms"),
        Figure::median("round.wake", &wakes, "ms"),
    ])
}

/// Times of statements, one after the other; the first ones warm up.
async fn statements(place: &Place, count: usize, sql: impl Fn(usize) -> String) -> Result<Sample> {
    let mut times = Sample::default();
    for n in 0..WARM + count {
        let took = timed(place, &sql(n)).await?;
        if n >= WARM {
            times.push(took);
        }
    }
    Ok(times)
}

/// Milliseconds until the whole answer to a statement is here.
async fn timed(place: &Place, sql: &str) -> Result<f64> {
    let begun = Instant::now();
    place.shop.run("shop", sql).await?;
    Ok(millis(begun.elapsed()))
}
