//! Bytes that one changed row of a large database uploads, beside the size of the database.

use crate::{
    figure::Figure,
    place::{Place, megabytes},
};
use anyhow::{Result, ensure};
use roost_store::object::MAX_LIST_PAGE;
use roost_tests::Roost;
use std::collections::BTreeMap;

const DATABASE_BYTES: u64 = 200_000_000;

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let place = Place::open(roost, "publish", "1s").await?;
    let uid = place.filled_tenant("ledger", DATABASE_BYTES).await?;
    let mut figures = Vec::new();
    for (name, change) in [
        ("publish.update_one_row", "UPDATE data SET h = 0 WHERE i = 4711"),
        ("publish.insert_one_row", "INSERT INTO data VALUES (-1, 0)"),
    ] {
        let before = sizes(&place).await?;
        place.shop.run("ledger", change).await?;
        place.asleep(&uid).await?;
        let after = sizes(&place).await?;
        let new = after.iter().filter(|(key, _)| !before.contains_key(*key));
        let uploaded: u64 = new.map(|(_, size)| size).sum();
        ensure!(uploaded > 0, "nothing was published after {change}");
        let stored = before.values().sum();
        figures.push(
            Figure::new(name, megabytes(uploaded), "MB")
                .beside(megabytes(stored), "the database, as it is stored"),
        );
    }
    Ok(figures)
}

/// The tenant's objects with their sizes.
async fn sizes(place: &Place) -> Result<BTreeMap<String, u64>> {
    let (store, prefix) = (place.roost.bucket.store(), place.prefix("ledger"));
    let mut sizes = BTreeMap::new();
    loop {
        let last = sizes.last_key_value().map(|(key, _): (&String, &u64)| key.clone());
        let page = store.list(&prefix, last.as_deref(), MAX_LIST_PAGE).await?;
        sizes.extend(page.objects.into_iter().map(|object| (object.key, object.size)));
        if !page.truncated {
            return Ok(sizes);
        }
    }
}
