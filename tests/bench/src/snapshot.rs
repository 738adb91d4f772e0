//! A Parquet snapshot, whole (worker pod, hydration, export, upload) and its export alone, beside EXPORT DATABASE.

use crate::{
    embedded::Embedded,
    figure::{Figure, Sample},
    local_tenant::LocalTenant,
    place::Place,
    scan::ITEMS,
};
use anyhow::{Result, ensure};
use roost_store::{Environment, stream::Tail};
use roost_tests::Roost;
use serde_json::json;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};
use tenant_runtime::{
    files::Access,
    limits::Sizing,
    serving::opening::{EngineSetup, Folders, open_engine},
};

const ROUNDS: usize = 3;
/// Makes the million items ten.
const MORE: &str =
    "INSERT INTO items SELECT id + n * 1000000, price, name, day FROM items, range(1, 10) r(n)";

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let place = Place::open(roost, "snapshot", "10m").await?;
    place.tenant("shop").await?;
    place.shop.run("shop", ITEMS).await?;
    place.shop.run("shop", MORE).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("items.duckdb");
    let mut embedded = Embedded::on(&file)?;
    embedded.run(ITEMS)?;
    embedded.run(MORE)?;
    embedded.close()?;
    let (mut whole, mut alone, mut theirs) = (Sample::default(), Sample::default(), Sample::default());
    for round in 0..ROUNDS {
        whole.push(of_tenant(&place, &format!("round-{round}")).await?);
        alone.push(export(roost, &file, &folder.path().join(format!("ours-{round}"))).await?);
        let target = folder.path().join(format!("theirs-{round}"));
        let mut embedded = Embedded::on(&file)?;
        let begun = Instant::now();
        embedded
            .run(&format!("EXPORT DATABASE '{}' (FORMAT parquet, COMPRESSION zstd)", target.display()))?;
        theirs.push(begun.elapsed().as_secs_f64());
        std::fs::remove_dir_all(&target)?;
    }
    let figure = |name: &str, sample| {
        Figure::median(name, sample, "s").beside(theirs.median(), "embedded, EXPORT DATABASE")
    };
    Ok(vec![figure("snapshot.whole", &whole), figure("snapshot.export", &alone)])
}

/// From the Snapshot's creation until it is Ready, in seconds. The first one publishes before.
async fn of_tenant(place: &Place, name: &str) -> Result<f64> {
    let begun = Instant::now();
    place.shop.apply("Snapshot", name, json!({"tenantName": "shop", "format": "Parquet"})).await?;
    let snapshot = place.shop.condition("Snapshot", name, "Ready", "True", None).await?;
    let took = begun.elapsed().as_secs_f64();
    ensure!(snapshot.data["status"]["rowCount"] == 10_000_000, "{}", snapshot.data["status"]);
    Ok(took)
}

/// The worker's export, from an open engine with an empty cache to files, in seconds.
async fn export(roost: &Roost, file: &Path, cache: &Path) -> Result<f64> {
    let folders = Folders::make(cache)?;
    let branch = Arc::new(LocalTenant::from_file(roost, "export", file).await?.take_over().await?);
    let opened = branch.open(&folders.main, 4 << 30).await?;
    let parts = cache.join("export/parts");
    std::fs::create_dir_all(&parts)?;
    let setup = EngineSetup {
        database: "shop".into(),
        sizing: Sizing { memory_bytes: 2 << 30, threads: std::thread::available_parallelism()?.get() },
        settings: BTreeMap::new(),
        spill_limit: 4 << 30,
        cache_limit: 4 << 30,
        max_sessions: 1,
    };
    let export = Some(cache.join("export"));
    let (engine, _files) = open_engine(
        (&setup, &[]),
        folders,
        (opened.pager, Access::ReadOnly, Tail::new(1, None)),
        export,
        Environment::system(),
    )
    .await
    .map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let begun = Instant::now();
    let summary = engine.export_parquet(&parts, |_| ()).await?;
    let took = begun.elapsed().as_secs_f64();
    ensure!(summary.tables.iter().map(|table| table.rows).sum::<u64>() == 10_000_000, "rows are missing");
    engine.close().await;
    branch.relinquish().await?;
    std::fs::remove_dir_all(cache)?;
    Ok(took)
}
