//! Manifests in Git: applied again they change nothing, and what Roost writes is no difference to them.

use anyhow::{Result, ensure};
use roost_tests::{Roost, TestNamespace, cluster::PATIENCE, eventually};
use serde_json::{Value, json};
use std::{io::Write as _, process::Command};

/// Runs kubectl; its exit code and what it printed.
fn kubectl(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = Command::new("kubectl").args(arguments).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
}

async fn ready(shop: &TestNamespace) -> Result<()> {
    for (kind, name) in [("Tenant", "acme"), ("Branch", "dev"), ("Snapshot", "now")] {
        shop.condition(kind, name, "Ready", "True", None).await?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn applied_again_nothing_differs() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("gitops", "10m", |_| ()).await?;
    for way in [&["--server-side", "--field-manager=git"][..], &[]] {
        let shop = roost.namespace("gitops").await?;
        let object = |kind: &str, name: &str, spec: Value| {
            json!({"apiVersion": "roostdb.dev/v1alpha1", "kind": kind, "spec": spec,
                "metadata": {"name": name, "namespace": shop.name}})
        };
        let mut file = tempfile::NamedTempFile::new()?;
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            object("Tenant", "acme", json!({"className": class, "idleTimeout": "30m", "deletionPolicy": "Delete",
                "source": {"initScript": {"sql": "CREATE TABLE t AS SELECT 1 AS i"}}})),
            object("Branch", "dev", json!({"tenantName": "acme", "ttl": "24h"})),
            object("Snapshot", "now", json!({"tenantName": "acme", "format": "Native", "ttl": "168h"})),
        ]});
        file.write_all(list.to_string().as_bytes())?;
        let path = file.path().to_string_lossy().into_owned();
        let run = |command: &str| kubectl(&[&[command], way, &["-f", &path]].concat());
        let (code, printed) = run("apply")?;
        ensure!(code == Some(0), "{printed}");
        // The init script runs in the first wake, and only then is there something to branch and to keep.
        shop.answers("acme", "SELECT i FROM t", 1).await?;
        ready(&shop).await?;
        // A status that is written while kubectl compares is a difference, once.
        let settled = async |when: &str| {
            eventually(&format!("no difference, {way:?} {when}"), PATIENCE, || async {
                let (code, printed) = run("diff").map_err(|error| error.to_string())?;
                if code == Some(0) { Ok(()) } else { Err(printed) }
            })
            .await
        };
        settled("asleep or awake").await?;
        let (code, printed) = run("apply")?;
        ensure!(code == Some(0) && !printed.contains("configured"), "{printed}");
        ready(&shop).await?;
        settled("applied again").await?;
    }
    Ok(())
}
