//! `select 42` over HTTP through the gateway, on a warm connection, beside the same statement in this process.

use crate::{
    embedded::Embedded,
    figure::{Figure, Sample},
    place::{Place, millis},
};
use anyhow::{Result, ensure};
use roost_tests::Roost;
use serde_json::json;
use std::time::Instant;

const SQL: &str = "select 42";
/// Ours and the reference take turns, so that what else the machine does meets both.
const ROUNDS: usize = 10;
const ROUND: usize = 300;

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let place = Place::open(roost, "select", "10m").await?;
    place.tenant("answer").await?;
    let mut embedded = Embedded::in_memory()?;
    let (mut ours, mut theirs, mut gateway) = (Sample::default(), Sample::default(), Sample::default());
    for round in 0..=ROUNDS {
        for _ in 0..ROUND {
            let begun = Instant::now();
            let answer = ask(&place).await?;
            let took = millis(begun.elapsed());
            ensure!(answer.contains("42"), "{answer}");
            let begun = Instant::now();
            turn_away(&place).await?;
            let turned = millis(begun.elapsed());
            let begun = Instant::now();
            embedded.stream(SQL, |_| Ok(()))?;
            // The first round warms up.
            if round > 0 {
                ours.push(took);
                gateway.push(turned);
                theirs.push(millis(begun.elapsed()));
            }
        }
    }
    let figure = |name: &str, share| {
        Figure::new(name, ours.quantile(share), "ms").beside(theirs.quantile(share), "embedded DuckDB")
    };
    Ok(vec![
        figure("select.p50", 0.5),
        figure("select.p99", 0.99),
        Figure::new("select.gateway_alone_p50", gateway.median(), "ms"),
    ])
}

async fn ask(place: &Place) -> Result<String> {
    let response = place.shop.post("answer", &place.shop.token, &json!({"sql": SQL})).await?;
    Ok(response.error_for_status()?.text().await?)
}

/// A request that the gateway answers by itself: what connection, client and gateway's first steps cost.
async fn turn_away(place: &Place) -> Result<()> {
    let response = place.roost.http.get(format!("{}/v1/nothing", place.roost.gateway)).send().await?;
    ensure!(response.status().is_client_error(), "{}", response.status());
    response.bytes().await?;
    Ok(())
}
