//! Waiting for conditions, with deadlines.

use anyhow::{Result, bail};
use kube::{Api, api::DynamicObject};
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Pause between looks at a condition.
const PACE: Duration = Duration::from_millis(200);

/// Looks at a condition until it yields a value. Fails at the deadline with what was last seen.
pub async fn eventually<T, F, Fut>(what: &str, deadline: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let started = Instant::now();
    loop {
        match look().await {
            Ok(value) => return Ok(value),
            Err(seen) if started.elapsed() > deadline => {
                bail!("{what}: not within {deadline:?}; last seen: {seen}")
            }
            Err(_) => tokio::time::sleep(PACE).await,
        }
    }
}

/// Waits until no object of this name is left; `what` it is stands in the error.
pub async fn gone(api: &Api<DynamicObject>, what: &str, name: &str, deadline: Duration) -> Result<()> {
    eventually(&format!("{what} {name} is gone"), deadline, || async {
        match api.get_opt(name).await {
            Ok(None) => Ok(()),
            Ok(Some(object)) => Err(object.data["status"].to_string()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}
