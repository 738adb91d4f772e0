//! A branch of a moment that has passed, whatever happened since.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::ResourceExt;
use roost_tests::{Roost, pod::signal};
use serde_json::json;

const ROWS: &str = "SELECT coalesce(list(i ORDER BY i), [])::VARCHAR FROM t";

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn a_branch_begins_where_its_origin_was_at_a_moment() -> Result<()> {
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
        ensure!(*found.value()? == format!("{expected:?}"), "{moment}: {}", found.body);
    }

    let spec = json!({"tenantName": "acme", "from": {"branchName": "main", "time": "2020-01-01T00:00:00Z"}});
    shop.apply("Branch", "before", spec).await?;
    shop.condition("Branch", "before", "Ready", "False", Some("SourceNotFound")).await?;
    let spec = json!({"tenantName": "acme", "from": {"time": "2099-01-01T00:00:00Z"}});
    shop.apply("Branch", "later", spec).await?;
    shop.condition("Branch", "later", "Ready", "False", Some("SourceNotReady")).await?;
    Ok(())
}
