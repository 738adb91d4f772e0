//! A WAL that no pod can replay: it is told and kept, and what opens is found and served.

use anyhow::{Context, Result, ensure};
use roost_store::object::{Condition, ObjectError};
use roost_tests::{Roost, cluster::PATIENCE, eventually, tenant::find_condition};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::garbage::operator;

/// The bucket of a tenant whose life ended after a commit that DuckDB 1.5.6 cannot replay, and two more.
const KEPT: &str = "../tenant-runtime/tests/buckets/unreplayable/objects/tenants/default/demo";
/// Commits before that one.
const GOOD: u64 = 3;

/// Gives a tenant that is asleep the kept bucket's data; its owner stays.
async fn put(roost: &Roost, prefix: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT);
    for file in files(&folder)? {
        let name = file.strip_prefix(&folder)?.to_str().context("a name")?;
        if name == "tenant.json" {
            continue;
        }
        let (key, bytes) = (format!("{prefix}{name}"), std::fs::read(&file)?);
        match roost.bucket.store().put(&key, bytes.clone().into(), Condition::IfAbsent).await {
            Ok(_) => {}
            Err(ObjectError::PreconditionFailed { .. }) => roost.bucket.overwrite(&key, bytes).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_wal_that_cannot_be_replayed_is_told_and_kept_and_what_opens_is_found() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("unreplayable", "10m", |_| ()).await?;
    let shop = roost.namespace("unreplayable").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    let prefix = format!("{class}/tenants/{}/acme/", shop.name);
    put(&roost, &prefix).await?;
    let before = roost.bucket.contents(&prefix).await?;

    let problem = shop.query("acme", "SELECT 1").await?.problem()?;
    ensure!(problem.detail.contains("from: {time: "), "{problem}");
    let tenant = shop.condition("Tenant", "acme", "Ready", "False", Some("ReplayFailed")).await?;
    ensure!(find_condition(&tenant, "Stalled")["status"] == "True", "{}", tenant.data["status"]);
    let message = find_condition(&tenant, "Ready")["message"].to_string();
    ensure!(message.contains("--replay") && message.contains("from: {time: "), "{message}");

    // Wakes go on, seldom, and leave a seal each.
    let keys = |all: Vec<String>| all.into_iter().collect::<BTreeSet<_>>();
    let once = keys(roost.bucket.keys(&prefix).await?);
    eventually("it was tried again", PATIENCE, || async {
        let tried = shop.query("acme", "SELECT 1").await.map_err(|error| format!("{error:#}"))?;
        let tenant = shop.api("Tenant").get("acme").await.map_err(|error| error.to_string())?;
        let message = find_condition(&tenant, "Ready")["message"].to_string();
        if message.contains("times)") { Ok(()) } else { Err(format!("{message}: {}", tried.body)) }
    })
    .await?;
    let only_seals_are_new = |now: Vec<String>| {
        let now = keys(now);
        now.is_superset(&once) && now.difference(&once).all(|key| key.contains("/wal/"))
    };
    ensure!(only_seals_are_new(roost.bucket.keys(&prefix).await?), "each wake leaves more behind");
    let after = roost.bucket.contents(&prefix).await?;
    for (key, bytes) in before.iter().filter(|(key, _)| !key.ends_with("/HEAD")) {
        ensure!(after.get(key) == Some(bytes), "{key} was changed");
    }

    let name = format!("{}/acme", shop.name);
    let (code, text) = operator("fsck", &[&class, "--tenant", &name, "--replay"])?;
    ensure!(code == Some(1) && text.contains("kind: Branch"), "{code:?} {text}");
    println!("{text}");
    let (code, found) = operator("fsck", &[&class, "--tenant", &name, "--replay", "-o", "json"])?;
    ensure!(code == Some(1), "{code:?} {found}");
    let found: Value = serde_json::from_str(&found)?;
    ensure!(found["replayed"] == GOOD && found["clean"] == false, "{found:#}");
    ensure!(found["error"].as_str().is_some_and(|error| !error.is_empty()), "{found:#}");
    ensure!(roost.bucket.keys(&format!("{prefix}pins/")).await?.is_empty(), "a pin was left behind");
    eventually("its pods are gone", PATIENCE, || async {
        let pods = roost.pods_of(&uid).await.map_err(|error| error.to_string())?;
        if pods.is_empty() { Ok(()) } else { Err(format!("{} pods", pods.len())) }
    })
    .await?;
    ensure!(only_seals_are_new(roost.bucket.keys(&prefix).await?), "a check leaves something behind");

    let from = json!({"time": found["opens"]["time"]});
    shop.apply("Branch", "replayed", json!({"tenantName": "acme", "from": from})).await?;
    shop.condition("Branch", "replayed", "Ready", "True", None).await?;
    shop.answers("acme/branches/replayed", "SELECT sum(i) FROM (FROM kept SELECT i UNION ALL FROM also)", 6)
        .await?;
    let dev = ["--tenant", &name, "--replay", "--branch", "replayed"];
    let (code, text) = operator("fsck", &[&[class.as_str()][..], &dev].concat())?;
    ensure!(code == Some(0) && text.contains("all of it opens"), "{code:?} {text}");

    // A branch of all of it fails as well, and says so itself.
    shop.apply("Branch", "all", json!({"tenantName": "acme"})).await?;
    shop.condition("Branch", "all", "Ready", "True", None).await?;
    shop.query("acme/branches/all", "SELECT 1").await?.problem()?;
    shop.condition("Branch", "all", "Ready", "False", Some("ReplayFailed")).await?;
    Ok(())
}
