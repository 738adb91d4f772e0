//! The operator dies by SIGABRT at steps by which it changes anything: a write to the API server, an order to a
//! pod, a PUT or DELETE in the bucket; just before it and just after it. The next operator makes the wish come true,
//! once, and nothing is left over.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt, api::ListParams};
use roost_crds::names::CLASS_LABEL;
use roost_tests::{
    Roost, TestNamespace,
    cluster::{PATIENCE, RUNTIME_NAMESPACE},
    eventually,
    mortal::Manner,
};

use crate::{
    place::{Place, operate},
    story::Story,
};

/// More steps than any of the stories has.
const MAX_STEPS: u64 = 200;
/// Every so many steps one dies; with `make chaos` at every single one.
const STRIDE: u64 = 11;

/// Fewer deaths would mean that steps are no longer seen.
const LEAST: usize = 2;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn killed_at_steps_of_all_that_it_does() -> Result<()> {
    operate();
    let roost = Roost::connect().await?;
    let place = Place::take(&roost, "killed::killed_at_steps_of_all_that_it_does").await?;
    let result = async {
        for story in Story::ALL {
            die(&roost, &place, story).await.with_context(|| format!("{story:?}"))?;
        }
        Ok(())
    };
    let result = result.await;
    // Also for the tests that follow a failed one.
    place.leave().await?;
    result
}

async fn die(roost: &Roost, place: &Place, story: Story) -> Result<()> {
    let stride = if crate::chaos() { 1 } else { STRIDE };
    let mut operator = place.start(0, Manner::Die, 0).await?;
    let class = place.class("killed").await?;
    let shop = roost.namespace("killed").await?;
    let mut deaths = Vec::new();
    for at in (0..MAX_STEPS).step_by(usize::try_from(stride)?) {
        let tenant = format!("t{at}");
        let uid = story.prepare(&shop, &class, &tenant).await?;
        operator.arm()?;
        let mut wish = tokio::spawn(story.play(shop.clone(), class.clone(), tenant.clone(), uid.clone()));
        let death = tokio::select! {
            death = operator.death() => Some(death?),
            came_true = &mut wish => { came_true??; None }
        };
        let Some(death) = death else {
            ensure!(deaths.len() >= LEAST, "it died only at {deaths:#?}");
            println!("{story:?}: {} deaths: {deaths:#?}", deaths.len());
            // The armed one could still die.
            drop(operator);
            let operator = place.start(0, Manner::Die, MAX_STEPS).await?;
            converged(&shop, &tenant, story).await?;
            story.clear(&shop, &class, &tenant, &uid).await?;
            no_slots(roost, &class).await?;
            drop(operator);
            return Ok(());
        };
        operator = place.start(0, Manner::Die, at + stride).await?;
        wish.await?.with_context(|| format!("after a death {death}"))?;
        converged(&shop, &tenant, story).await.with_context(|| format!("after a death {death}"))?;
        story.clear(&shop, &class, &tenant, &uid).await.with_context(|| format!("after a death {death}"))?;
        deaths.push(death);
    }
    anyhow::bail!("it still dies after {MAX_STEPS} steps: {deaths:#?}")
}

/// Everything in the tenant's prefix is reachable, or the leftover of an attempt that ended.
pub async fn converged(shop: &TestNamespace, tenant: &str, story: Story) -> Result<()> {
    if story == Story::Deletion {
        return Ok(());
    }
    eventually("nothing in the bucket is under way", PATIENCE, || async {
        let report = shop.verified(tenant).await.map_err(|error| format!("{error:#}"))?;
        if report.under_way.count == 0 { Ok(()) } else { Err(format!("{report:#?}")) }
    })
    .await
}

/// No place below the ceiling is taken.
async fn no_slots(roost: &Roost, class: &str) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(roost.client.clone(), RUNTIME_NAMESPACE);
    let label = roost_operator::pods::names::class_hash(class);
    let of_class = ListParams::default().labels(&format!("{CLASS_LABEL}={label}"));
    eventually("no slot is taken", PATIENCE, || async {
        let slots = leases.list(&of_class).await.map_err(|error| error.to_string())?.items;
        let taken = slots.iter().filter(|slot| {
            slot.spec
                .as_ref()
                .is_some_and(|spec| spec.holder_identity.as_deref().is_some_and(|id| !id.is_empty()))
        });
        let taken: Vec<_> = taken.map(ResourceExt::name_any).collect();
        if taken.is_empty() { Ok(()) } else { Err(taken.join(", ")) }
    })
    .await
}
