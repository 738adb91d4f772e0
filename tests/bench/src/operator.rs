//! Memory that idle Tenants cost the operator. Only the API server and the operator work here: no pod is started.

use crate::{
    figure::Figure,
    place::{Place, megabytes},
};
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use roost_tests::{Roost, cluster::SYSTEM_NAMESPACE, eventually, pod, tenant::find_condition};
use serde_json::json;
use std::time::{Duration, Instant};

/// Tenants that there are before memory is looked at first.
const FIRST: usize = 100;
/// KB (1000 bytes) that a Tenant may cost.
const GOAL: f64 = 0.5;
/// Requests to the API server at a time.
const AT_ONCE: usize = 32;
/// Longest wait for all Tenants to be Ready, and for a new operator.
const PATIENCE: Duration = Duration::from_mins(30);
/// Memory is steady when it did not grow for so long.
const STEADY: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(1);
const PAGE: u32 = 500;

/// With so many Tenants more than before.
pub async fn run(roost: &Roost, tenants: usize) -> Result<Vec<Figure>> {
    let place = Place::open(roost, "operator", "10m").await?;
    // What any work costs once (S3 clients, connections, buffers of lists and watches) is not of a Tenant.
    create(&place, "first", FIRST).await?;
    ready(&place, FIRST).await?;
    let before = memory(roost).await?;
    create(&place, "then", tenants).await?;
    ready(&place, FIRST + tenants).await?;
    let full = memory(roost).await?;
    #[allow(clippy::cast_precision_loss, reason = "sizes in a report")]
    let each = full.saturating_sub(before) as f64 / tenants as f64 / 1e3;
    Ok(vec![
        Figure::new(format!("operator.per_tenant_of_{tenants}"), each, "KB").beside(GOAL, "the goal"),
        Figure::new(format!("operator.memory_with_{tenants}"), megabytes(full), "MB")
            .beside(megabytes(before), "itself before"),
    ])
}

async fn create(place: &Place, name: &str, tenants: usize) -> Result<()> {
    let begun = Instant::now();
    stream::iter(0..tenants)
        .map(|number| async move {
            place
                .shop
                .apply("Tenant", &format!("{name}-{number}"), json!({"className": place.class}))
                .await
                .map(drop)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    eprintln!("operator: {tenants} Tenants created in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn ready(place: &Place, tenants: usize) -> Result<()> {
    let begun = Instant::now();
    let api = place.shop.api("Tenant");
    eventually("all Tenants are Ready", PATIENCE, || async {
        let mut ready = 0;
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let listed = api.list(&page).await.map_err(|error| error.to_string())?;
            ready += listed.iter().filter(|t| find_condition(t, "Ready")["status"] == "True").count();
            match listed.metadata.continue_.filter(|more| !more.is_empty()) {
                Some(more) => page = page.continue_token(&more),
                None => break,
            }
        }
        if ready == tenants {
            return Ok(());
        }
        // Looking costs the API server more than the pace of `eventually` gives it.
        tokio::time::sleep(LOOK * 5).await;
        Err(format!("{ready} of {tenants}"))
    })
    .await?;
    eprintln!("operator: {tenants} Tenants Ready after {:.0} s more", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Memory in bytes that the larger replica, which is the elected one, holds after a new start, once it is steady: what
/// making the Tenants took is not counted.
async fn memory(roost: &Roost) -> Result<u64> {
    let pods: Api<Pod> = Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
    let selector = ListParams::default().labels("app.kubernetes.io/name=roost-operator");
    let old: Vec<_> = pods.list(&selector).await?.iter().filter_map(ResourceExt::uid).collect();
    pods.delete_collection(&DeleteParams::default(), &selector).await?;
    let operators = eventually("new operators are ready", PATIENCE, || async {
        let listed = pods.list(&selector).await.map_err(|error| error.to_string())?.items;
        let new = |pod: &&Pod| is_ready(pod) && pod.uid().is_some_and(|uid| !old.contains(&uid));
        let ready = listed.iter().filter(new).count();
        if ready == old.len() && listed.len() == old.len() {
            Ok(listed)
        } else {
            Err(format!("{ready} ready"))
        }
    })
    .await?;
    // Before the election no replica knows any Tenant.
    eventually("a new operator is elected", PATIENCE, || async {
        let holder = roost.elected().await.map_err(|error| error.to_string())?;
        if operators.iter().any(|pod| pod.name_any() == holder) { Ok(()) } else { Err(holder) }
    })
    .await?;
    let uids: Vec<_> = operators.iter().filter_map(ResourceExt::uid).collect();
    let (mut most, mut since) = (0, Instant::now());
    while since.elapsed() < STEADY {
        tokio::time::sleep(LOOK).await;
        let now = uids.iter().map(|uid| pod::anonymous_bytes(uid)).collect::<Result<Vec<_>>>()?;
        let now = now.into_iter().max().context("no operator runs")?;
        // Half a percent is noise.
        if now > most + most / 200 {
            (most, since) = (now, Instant::now());
        }
    }
    Ok(most)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
