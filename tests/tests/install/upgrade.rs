//! From the last release to this state, back, and forth again, with tenants awake and asleep.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use roost_tests::{Ledger, Roost};
use serde_json::json;

use crate::{CLUSTER, install_this, released, run};

/// So many rows more tell that writers get through.
const ROWS: usize = 20;

fn image(pod: &Pod) -> Option<&String> {
    pod.spec.as_ref()?.containers.first()?.image.as_ref()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn an_upgrade_and_a_rollback_keep_every_tenant() -> Result<()> {
    let _cluster = CLUSTER.lock().await;
    let released = released()?;
    let source = released.to_string_lossy().into_owned();
    run("deploy/cluster/install-roost", &["test", &format!("{source}/bin"), &source]).await?;

    // The last release: one tenant at work, one that sleeps, one with a branch and a snapshot.
    let roost = Roost::connect().await?;
    let class = roost
        .class("upgrade", "10m", |spec| {
            // The last release does not know it.
            spec["storage"].as_object_mut().map(|storage| storage.remove("putBudget"));
        })
        .await?;
    let shop = roost.namespace("upgrade").await?;
    let busy = shop.tenant("busy", json!({"className": class})).await?;
    let asleep = shop.tenant("asleep", json!({"className": class})).await?;
    let ledger = Ledger::open(&shop, "busy", 2).await?;
    shop.run("asleep", "CREATE TABLE t AS SELECT 1 AS i").await?;
    shop.apply("Branch", "old", json!({"tenantName": "asleep"})).await?;
    shop.condition("Branch", "old", "Ready", "True", None).await?;
    shop.apply("Snapshot", "old", json!({"tenantName": "asleep", "format": "Native"})).await?;
    shop.condition("Snapshot", "old", "Ready", "True", None).await?;
    roost.evict(&asleep).await?;
    let first = roost.pod_of(&busy).await?;

    // This state, under load. Who is awake stays so, on the pod that it has.
    install_this().await?;
    ledger.advances(ROWS).await?;
    ensure!(roost.pod_of(&busy).await?.uid() == first.uid(), "the upgrade took a serving pod away");
    shop.answers("asleep", "SELECT i FROM t", 1).await?;
    ensure!(image(&roost.pod_of(&asleep).await?) != image(&first), "a wake took the last release's image");
    shop.answers("asleep/branches/old", "SELECT i FROM t", 1).await?;
    // New things of old tenants, from a pod of the last release too.
    for tenant in ["asleep", "busy"] {
        let name = format!("new-{tenant}");
        shop.apply("Branch", &name, json!({"tenantName": tenant, "branchName": "new"})).await?;
        shop.condition("Branch", &name, "Ready", "True", None).await?;
        shop.apply("Snapshot", &name, json!({"tenantName": tenant, "format": "Parquet"})).await?;
        shop.condition("Snapshot", &name, "Ready", "True", None).await?;
    }
    let restored = json!({"className": class, "source": {"snapshot": {"name": "old"}}});
    shop.tenant("restored", restored).await?;
    shop.answers("restored", "SELECT i FROM t", 1).await?;
    shop.run("asleep", "INSERT INTO t VALUES (2)").await?;
    roost.evict(&busy).await?;
    ledger.advances(ROWS).await?;
    let second = roost.pod_of(&busy).await?;
    ensure!(image(&second) != image(&first), "a wake took the last release's image");

    // Back, under load: what this state published, the last release reads.
    roost.evict(&asleep).await?;
    for release in ["roost-crds", "roost"] {
        run("helm", &["rollback", release, "--namespace", "roost-system", "--wait", "--timeout", "3m"])
            .await?;
    }
    ledger.advances(ROWS).await?;
    ensure!(roost.pod_of(&busy).await?.uid() == second.uid(), "the rollback took a serving pod away");
    shop.answers("asleep", "SELECT sum(i)::BIGINT FROM t", 3).await?;
    ensure!(image(&roost.pod_of(&asleep).await?) == image(&first), "a wake took the newer image");
    shop.answers("asleep/branches/new", "SELECT i FROM t", 1).await?;
    roost.evict(&busy).await?;
    ledger.advances(ROWS).await?;
    shop.run("asleep", "INSERT INTO t VALUES (4)").await?;

    install_this().await?;
    ledger.advances(ROWS).await?;
    roost.evict(&asleep).await?;
    shop.answers("asleep", "SELECT sum(i)::BIGINT FROM t", 7).await?;
    println!("{:?}", ledger.close().await?);
    Ok(())
}
