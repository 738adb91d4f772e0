//! Everybody at once: many Tenants created, and far more woken than the class has places for.

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use reqwest::StatusCode;
use roost_crds::names::CLASS_LABEL;
use roost_operator::pods::names::class_hash;
use roost_tests::{Roost, cluster::RUNTIME_NAMESPACE, eventually};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Size of a storm: Tenants, those of them that are woken at once, and places of their class.
struct Scale {
    tenants: usize,
    woken: usize,
    places: usize,
}

const SMALL: Scale = Scale { tenants: 100, woken: 24, places: 4 };
/// For `make chaos`.
const LARGE: Scale = Scale { tenants: 500, woken: 200, places: 20 };
/// Longest time that all Tenants may take to be Ready, and for which a caller asks again.
const PATIENCE: Duration = Duration::from_mins(10);
/// Requests to the API server at a time.
const AT_ONCE: usize = 50;
/// Pause between counts of the pods.
const PACE: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_storm_of_wakes_stays_below_the_ceiling_and_everyone_is_served() -> Result<()> {
    let _cluster = crate::alone().await;
    let Scale { tenants, woken, places } = if crate::chaos() { LARGE } else { SMALL };
    let roost = Roost::connect().await?;
    let class = roost
        .class("storm", "10m", |spec| {
            spec["limits"]["active"] = json!(places);
        })
        .await?;
    let shop = roost.namespace("storm").await?;
    let name = |number: usize| format!("t{number}");
    stream::iter(0..tenants)
        .map(|number| {
            let (shop, class) = (shop.clone(), class.clone());
            async move { shop.apply("Tenant", &name(number), json!({"className": class})).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    let api = shop.api("Tenant");
    eventually("all are Ready", PATIENCE, || async {
        let all = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let ready = all
            .iter()
            .filter(|t| roost_tests::tenant::find_condition(t, "Ready")["status"] == "True")
            .count();
        if ready == tenants { Ok(()) } else { Err(format!("{ready} of {tenants}")) }
    })
    .await?;

    let done = Arc::new(AtomicBool::new(false));
    let count = tokio::spawn(most_pods(roost.clone(), class.clone(), done.clone()));
    let answers = (0..woken).map(|number| {
        let shop = shop.clone();
        tokio::spawn(async move {
            // A caller who is told to come again does.
            let found = eventually(&format!("{} answers", name(number)), PATIENCE, || {
                let shop = shop.clone();
                async move {
                    let answer = shop
                        .query(&name(number), &format!("SELECT {number}"))
                        .await
                        .map_err(|e| format!("{e:#}"))?;
                    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                        return Err(answer
                            .problem()
                            .map_err(|error| format!("unclear: {error:#}"))?
                            .to_string());
                    }
                    answer.integer().map_err(|error| format!("{error:#}"))
                }
            })
            .await?;
            ensure!(usize::try_from(found)? == number, "{} answered {found}", name(number));
            anyhow::Ok(())
        })
    });
    for one in answers.collect::<Vec<_>>() {
        one.await??;
    }
    done.store(true, Ordering::Relaxed);
    let most = count.await??;
    println!("{tenants} tenants, {woken} woken, at most {most} pods");
    ensure!(most <= places, "{most} pods where {places} may be");
    Ok(())
}

/// The largest number of the class's pods seen at any moment, however far they are.
async fn most_pods(roost: Roost, class: String, done: Arc<AtomicBool>) -> Result<usize> {
    let pods: Api<Pod> = Api::namespaced(roost.client.clone(), RUNTIME_NAMESPACE);
    let of_class = ListParams::default().labels(&format!("{CLASS_LABEL}={}", class_hash(&class)));
    let mut most = 0;
    while !done.load(Ordering::Relaxed) {
        most = most.max(pods.list(&of_class).await?.items.len());
        tokio::time::sleep(PACE).await;
    }
    Ok(most)
}
