//! Pods that do not start: no image, nowhere to run.

use anyhow::{Result, ensure};
use roost_tests::{Roost, mortal::Manner, tenant::find_condition};
use serde_json::json;

use crate::place::{Place, operate};

const IMAGE: &str = "ROOST_RUNTIME_IMAGE";
const PULL_POLICY: &str = "ROOST_RUNTIME_IMAGE_PULL_POLICY";
/// Variable for the longest time that a wake may take.
const DEADLINE: &str = "ROOST_WAKE_DEADLINE";
/// Nothing of this machine answers there.
const NOWHERE: &str = "localhost:1/tenant-runtime:none";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn what_keeps_a_pod_from_starting_is_told_and_mending_it_helps_at_once() -> Result<()> {
    operate();
    let roost = Roost::connect().await?;
    let test = "start::what_keeps_a_pod_from_starting_is_told_and_mending_it_helps_at_once";
    let mut place = Place::take(&roost, test).await?;
    place.set(DEADLINE, "20s")?;
    let result = async {
        no_image(&roost, &mut place).await?;
        no_place(&roost, &place).await
    };
    let result = result.await;
    place.leave().await?;
    result
}

async fn no_image(roost: &Roost, place: &mut Place) -> Result<()> {
    let right = [place.set(IMAGE, NOWHERE)?, place.set(PULL_POLICY, "IfNotPresent")?];
    let operator = place.start(0, Manner::Die, u64::MAX).await?;
    let class = place.class("no-image").await?;
    let shop = roost.namespace("no-image").await?;
    let uid = shop.tenant("acme", json!({"className": class})).await?;
    let problem = shop.query("acme", "SELECT 1").await?.problem()?;
    ensure!(problem.detail.contains("ImagePull") && problem.detail.contains(NOWHERE), "{problem}");
    let tenant = shop.condition("Tenant", "acme", "Ready", "False", Some("WakeFailed")).await?;
    let message = find_condition(&tenant, "Ready")["message"].to_string();
    ensure!(message.contains("ImagePull"), "{message}");
    drop(operator);

    // The pod is still there, and tries for ever.
    ensure!(roost.pods_of(&uid).await?.len() == 1);
    let [image, policy] = right;
    place.set(IMAGE, &image)?;
    place.set(PULL_POLICY, &policy)?;
    let _operator = place.start(0, Manner::Die, u64::MAX).await?;
    shop.answers("acme", "SELECT 1", 1).await?;
    shop.condition("Tenant", "acme", "Ready", "True", Some("Serving")).await?;
    Ok(())
}

async fn no_place(roost: &Roost, place: &Place) -> Result<()> {
    let _operator = place.start(0, Manner::Die, u64::MAX).await?;
    let class = place.class("no-place").await?;
    let resources = |memory: &str| json!({"requests": {"memory": memory}, "limits": {"memory": memory}});
    roost.change_class(&class, &json!({"runtime": {"resources": resources("4Ti")}})).await?;
    let shop = roost.namespace("no-place").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    let problem = shop.query("acme", "SELECT 1").await?.problem()?;
    ensure!(problem.detail.contains("Unschedulable") && problem.detail.contains("memory"), "{problem}");
    shop.condition("Tenant", "acme", "Ready", "False", Some("WakeFailed")).await?;

    roost.change_class(&class, &json!({"runtime": {"resources": resources("256Mi")}})).await?;
    shop.answers("acme", "SELECT 1", 1).await?;
    Ok(())
}
