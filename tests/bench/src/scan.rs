//! A million rows to a client, as Arrow IPC and as JSON, beside DuckDB in this process that makes the same.

use crate::{
    embedded::Embedded,
    figure::{Figure, Sample},
    place::{Place, millis},
};
use anyhow::{Context as _, Result, ensure};
use arrow_ipc::writer::StreamWriter;
use roost_tests::Roost;
use std::{io, time::Instant};

const ROUNDS: usize = 7;
/// A million rows of what tables are made of.
pub const ITEMS: &str = "CREATE TABLE items AS SELECT i AS id, (i * 7919 % 100000) / 100.0 AS price, \
     'item ' || i AS name, DATE '2020-01-01' + (i % 1000)::INTEGER AS day FROM range(1000000) r(i)";
const SQL: &str = "SELECT * FROM items";
/// Fewer bytes than these are not a million rows.
const LEAST_BYTES: u64 = 10_000_000;

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let place = Place::open(roost, "scan", "10m").await?;
    place.tenant("shop").await?;
    place.shop.run("shop", ITEMS).await?;
    let folder = tempfile::tempdir()?;
    let mut embedded = Embedded::on(&folder.path().join("items.duckdb"))?;
    embedded.run(ITEMS)?;
    embedded.run("CHECKPOINT")?;
    let mut figures = Vec::new();
    for format in ["arrow", "json"] {
        let (mut ours, mut theirs) = (Sample::default(), Sample::default());
        for round in 0..=ROUNDS {
            let (bytes, took) = place.fetch("shop", SQL, format).await?;
            ensure!(bytes > LEAST_BYTES, "{bytes} bytes are not a million rows");
            let begun = Instant::now();
            if format == "arrow" {
                to_arrow(&mut embedded)?;
            } else {
                let file = folder.path().join("items.json");
                embedded.run(&format!("COPY items TO '{}' (FORMAT json, ARRAY true)", file.display()))?;
            }
            // The first round warms up.
            if round > 0 {
                theirs.push(millis(begun.elapsed()));
                ours.push(millis(took));
            }
        }
        let beside =
            if format == "arrow" { "embedded, to an Arrow stream" } else { "embedded, COPY to JSON" };
        figures.push(Figure::median(format!("scan.{format}"), &ours, "ms").beside(theirs.median(), beside));
    }
    Ok(figures)
}

fn to_arrow(embedded: &mut Embedded) -> Result<()> {
    let mut writer = None;
    embedded.stream(SQL, |batch| {
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(StreamWriter::try_new(io::sink(), &batch.schema())?),
        };
        Ok(writer.write(&batch)?)
    })?;
    Ok(writer.context("no rows")?.finish()?)
}
