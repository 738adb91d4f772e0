//! The elected replica stands still in the middle of an action, another one is elected and ends it, and then the first
//! goes on where it stood. Whatever it still sends changes nothing that the other one made true.

use anyhow::{Context, Result};
use roost_tests::{Roost, cluster::PATIENCE, eventually, mortal::Manner};
use tokio::time::timeout;

use crate::{
    killed::converged,
    place::{Place, operate},
    story::Story,
};

/// Steps at which it stands still.
const STEPS: &[u64] = &[3];
/// The same for `make chaos`.
const MORE_STEPS: &[u64] = &[0, 1, 2, 3, 4, 5, 6, 7];

async fn waits_for(roost: &Roost, name: &str) -> Result<()> {
    eventually(&format!("{name} is elected"), PATIENCE, || async {
        let found = roost.elected().await.map_err(|error| error.to_string())?;
        if found == name { Ok(()) } else { Err(found) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the test cluster"]
async fn a_stale_leader_undoes_nothing() -> Result<()> {
    operate();
    let roost = Roost::connect().await?;
    let place = Place::take(&roost, "stale::a_stale_leader_undoes_nothing").await?;
    let result = async {
        for story in [Story::Branch, Story::Deletion, Story::Eviction] {
            stand_still(&roost, &place, story).await.with_context(|| format!("{story:?}"))?;
        }
        Ok(())
    };
    let result = result.await;
    place.leave().await?;
    result
}

async fn stand_still(roost: &Roost, place: &Place, story: Story) -> Result<()> {
    let class = place.class("stale").await?;
    let shop = roost.namespace("stale").await?;
    let steps = if crate::chaos() { MORE_STEPS } else { STEPS };
    for &at in steps {
        let mut first = place.start(0, Manner::Freeze, at).await?;
        waits_for(roost, place.name(0)).await?;
        let second = place.start(1, Manner::Freeze, u64::MAX).await?;
        let tenant = format!("t{at}");
        let uid = story.prepare(&shop, &class, &tenant).await?;
        first.arm()?;
        let wish = tokio::spawn(story.play(shop.clone(), class.clone(), tenant.clone(), uid.clone()));
        let step = timeout(PATIENCE, first.freeze()).await.context("it never stood still")??;
        // Its readiness probe would fail by now.
        place.publish(0, false).await?;
        let context = || format!("it stood still {step}");
        waits_for(roost, place.name(1)).await.with_context(context)?;
        wish.await?.with_context(context)?;
        converged(&shop, &tenant, story).await.with_context(context)?;
        first.thaw()?;
        place.publish(0, true).await?;
        first.steps_down().await.with_context(context)?;
        story.holds(&shop, &class, &tenant, &uid).await.with_context(context)?;
        converged(&shop, &tenant, story).await.with_context(context)?;
        story.clear(&shop, &class, &tenant, &uid).await.with_context(context)?;
        println!("{story:?}: it stood still {step}");
        drop((first, second));
    }
    Ok(())
}
