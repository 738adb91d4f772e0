//! Pods that do not start: no image, nowhere to run.

use anyhow::{Result, ensure};
use roost_tests::{Roost, mortal::Manner, tenant::find_condition};
use serde_json::json;

use crate::place::{Place, operate};

const IMAGE: &str = "ROOST_RUNTIME_IMAGE";
const PULL_POLICY: &str = "ROOST_RUNTIME_IMAGE_PULL_POLICY";
/// How long a wake may take.
const DEADLINE: &str = "ROOST_WAKE_DEADLINE";
/// Nothing of this machine answers there.
const NOWHERE: &str = "localhost:1/tenant-runtime:none";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn an_image_that_cannot_be_pulled_is_told_and_the_right_one_is_used_at_once() -> Result<()> {
    operate();
    let roost = Roost::connect().await?;
    let test = "start::an_image_that_cannot_be_pulled_is_told_and_the_right_one_is_used_at_once";
    let mut place = Place::take(&roost, test).await?;
    let result = no_image(&roost, &mut place).await;
    place.leave().await?;
    result
}

async fn no_image(roost: &Roost, place: &mut Place) -> Result<()> {
    let right = [place.set(IMAGE, NOWHERE)?, place.set(PULL_POLICY, "IfNotPresent")?];
    let deadline = place.set(DEADLINE, "20s")?;
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
    place.set(DEADLINE, &deadline)?;
    let _operator = place.start(0, Manner::Die, u64::MAX).await?;
    shop.answers("acme", "SELECT 1", 1).await?;
    shop.condition("Tenant", "acme", "Ready", "True", Some("Serving")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_pod_for_which_there_is_no_place_is_told_until_its_class_asks_for_less() -> Result<()> {
    let _cluster = crate::shared().await;
    let roost = Roost::connect().await?;
    let resources = |memory: &str| json!({"requests": {"memory": memory}, "limits": {"memory": memory}});
    let class =
        roost.class("no-place", "10m", |spec| spec["runtime"]["resources"] = resources("4Ti")).await?;
    let shop = roost.namespace("no-place").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    let problem = shop.query("acme", "SELECT 1").await?.problem()?;
    ensure!(problem.detail.contains("Unschedulable") && problem.detail.contains("memory"), "{problem}");
    shop.condition("Tenant", "acme", "Ready", "False", Some("WakeFailed")).await?;

    roost.change_class(&class, &json!({"runtime": {"resources": resources("256Mi")}})).await?;
    shop.answers("acme", "SELECT 1", 1).await?;
    Ok(())
}
