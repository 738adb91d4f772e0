//! Branches, tenants and snapshots of a moment that has passed, whatever happened since.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::ResourceExt;
use roost_tests::{Roost, pod::signal};
use serde_json::json;

const ROWS: &str = "SELECT coalesce(list(i ORDER BY i), [])::VARCHAR FROM t";

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn what_was_at_a_moment_is_branched_restored_and_exported() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("moments", "10m", |_| ()).await?;
    let shop = roost.namespace("moments").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t (i INT)").await?;
    let mut moments = Vec::new();
    for round in 0..3 {
        shop.run("acme", &format!("INSERT INTO t VALUES ({round})")).await?;
        moments.push(Timestamp::now());
        match round {
            // The WAL of the first moment is replayed and published by another pod, that of the second sealed.
            0 => {
                let pod = roost.pod_of(&uid).await?;
                signal(&pod.uid().context("no uid")?, "tenant-runtime", "KILL")?;
                shop.answers("acme", "SELECT count(*) FROM t", 1).await?;
            }
            1 => roost.evict(&uid).await?,
            _ => {}
        }
    }
    for (round, moment) in moments.iter().enumerate() {
        let name = format!("at-{round}");
        let spec = json!({"tenantName": "acme", "from": {"time": moment.to_string()}});
        shop.apply("Branch", &name, spec).await?;
        shop.condition("Branch", &name, "Ready", "True", None).await?;
        let expected: Vec<_> = (0..=round).collect();
        let found = shop.run(&format!("acme/branches/{name}"), ROWS).await?;
        ensure!(found.value()? == format!("{expected:?}"), "{moment}: {}", found.body);
    }

    let second = moments[1].to_string();
    let source = json!({"pointInTime": {"tenantName": "acme", "time": second}});
    shop.tenant("restored", json!({"className": class, "source": source})).await?;
    shop.condition("Tenant", "restored", "Ready", "True", None).await?;
    ensure!(shop.run("restored", ROWS).await?.value()? == "[0, 1]");

    for format in ["Native", "Parquet"] {
        let name = format!("at-{}", format.to_lowercase());
        let spec = json!({"tenantName": "acme", "format": format, "time": second});
        shop.apply("Snapshot", &name, spec).await?;
        let taken = shop.condition("Snapshot", &name, "Ready", "True", None).await?;
        if format == "Native" {
            let spec = json!({"tenantName": "acme", "from": {"snapshotName": name}});
            shop.apply("Branch", "of-snapshot", spec).await?;
            shop.condition("Branch", "of-snapshot", "Ready", "True", None).await?;
            ensure!(shop.run("acme/branches/of-snapshot", ROWS).await?.value()? == "[0, 1]");
        } else {
            ensure!(taken.data["status"]["rowCount"] == 2, "{}", taken.data["status"]);
        }
    }

    let nobody = json!({"pointInTime": {"tenantName": "nobody", "time": second}});
    shop.apply("Tenant", "lost", json!({"className": class, "source": nobody})).await?;
    shop.condition("Tenant", "lost", "Ready", "False", Some("SourceNotFound")).await?;
    let spec = json!({"tenantName": "acme", "from": {"branchName": "main", "time": "2020-01-01T00:00:00Z"}});
    shop.apply("Branch", "before", spec).await?;
    shop.condition("Branch", "before", "Ready", "False", Some("SourceNotFound")).await?;
    let spec = json!({"tenantName": "acme", "from": {"time": "2099-01-01T00:00:00Z"}});
    shop.apply("Branch", "later", spec).await?;
    shop.condition("Branch", "later", "Ready", "False", Some("SourceNotReady")).await?;
    Ok(())
}
