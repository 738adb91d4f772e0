//! Building a database's file from the bucket, beside fetching the same bytes with the same client.

use crate::{
    embedded,
    figure::{Figure, Sample},
    local_tenant::LocalTenant,
    place::megabytes,
};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use roost_store::{ObjectStore, branch::MAX_RANGE_BYTES, object::MAX_LIST_PAGE};
use roost_tests::Roost;
use std::{sync::Arc, time::Instant};

const DATABASE_BYTES: u64 = 200_000_000;
const ROUNDS: usize = 5;
/// Range GETs under way at a time, as many as a pager has.
const PARALLELISM: usize = 8;

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("made.duckdb");
    let path = file.clone();
    tokio::task::spawn_blocking(move || embedded::make_file(&path, DATABASE_BYTES)).await??;
    let tenant = LocalTenant::from_file(roost, "hydrate", &file).await?;
    let branch = tenant.take_over().await?;
    let ranges = ranges(roost.bucket.store().as_ref(), &tenant.below("packs/")).await?;
    let (mut ours, mut theirs) = (Sample::default(), Sample::default());
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        let stored = fetch(&roost.bucket.store(), &ranges).await?;
        let raw = megabytes(stored) / begun.elapsed().as_secs_f64();
        let target = folder.path().join(format!("hydrated-{round}"));
        let begun = Instant::now();
        let opened = branch.open(&target, u64::MAX).await?;
        let file_size = opened.pager.size()?;
        opened.pager.fault(0, file_size).await?;
        let took = begun.elapsed().as_secs_f64();
        std::fs::remove_file(&target)?;
        ensure!(file_size >= DATABASE_BYTES / 2, "only {file_size} bytes were hydrated");
        if round > 0 {
            // Both by the bytes that are stored, so that compression favours nobody.
            ours.push(megabytes(stored) / took);
            theirs.push(raw);
        }
    }
    branch.relinquish().await?;
    Ok(vec![
        Figure::median("hydrate", &ours, "MB/s")
            .beside(theirs.median(), "the same ranges by the S3 client alone"),
    ])
}

/// Lists the parts of a fetch: keys with ranges as large as a hydration's.
async fn ranges(store: &dyn ObjectStore, packs: &str) -> Result<Vec<(String, std::ops::Range<u64>)>> {
    let listing = store.list(packs, None, MAX_LIST_PAGE).await?;
    ensure!(!listing.truncated && !listing.objects.is_empty(), "{} packs", listing.objects.len());
    let cut = |object: roost_store::object::Listed| {
        let step = usize::try_from(MAX_RANGE_BYTES).unwrap_or(usize::MAX);
        (0..object.size)
            .step_by(step)
            .map(move |start| (object.key.clone(), start..(start + MAX_RANGE_BYTES).min(object.size)))
    };
    Ok(listing.objects.into_iter().flat_map(cut).collect())
}

async fn fetch(store: &Arc<dyn ObjectStore>, ranges: &[(String, std::ops::Range<u64>)]) -> Result<u64> {
    let parts = stream::iter(ranges.iter().cloned()).map(|(key, range)| {
        let store = Arc::clone(store);
        async move { store.get_range(&key, range).await.context(key) }
    });
    let add = |sum, part: Bytes| async move { Ok(sum + part.len() as u64) };
    parts.buffer_unordered(PARALLELISM).try_fold(0, add).await
}
