//! A served tenant's life until its end: publish, prove, fall asleep, drain, seal.

pub mod opening;
pub mod prover;

use crate::{
    lifecycle::Lifecycle,
    problems,
    serving::opening::{Served, draining},
};
use roost_protocol::{
    PROTOCOL_VERSION, Position,
    problem::{ErrorCode, Problem},
    status::{Ending, RuntimeState, RuntimeStatus},
    time::UnixMillis,
};
use roost_store::{PublishError, ShipError};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Pause between two looks at idleness and the engine's health.
const TICK: Duration = Duration::from_millis(250);
/// Parts of the drain timeout, of which running requests may use one; the rest is for the publish.
const SHARE_FOR_REQUESTS: u32 = 3;
/// Time that interrupted requests may take to end.
const INTERRUPT_GRACE: Duration = Duration::from_secs(5);

/// When a tenant is evicted, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub struct Eviction {
    /// Time after which an idle tenant is evicted; none means never.
    pub idle_timeout: Option<Duration>,
    /// Longest time of draining and sealing.
    pub drain_timeout: Duration,
}

/// Why serving ended.
enum Cause {
    Drain,
    Fenced(String),
    /// A part of the database cannot be read any more.
    Damaged(Problem),
    Failed(Problem),
}

/// Serves until the end. `stop` is SIGTERM.
pub async fn serve(
    served: &Arc<Served>,
    lifecycle: &Lifecycle,
    eviction: Eviction,
    stop: &CancellationToken,
) -> Ending {
    let publishing = tokio::spawn({
        let publisher = Arc::clone(&served.publisher);
        async move { publisher.run().await }
    });
    let shipping = tokio::spawn({
        let (shipper, database) = (Arc::clone(&served.shipper), Arc::clone(&served.database));
        async move { shipper.run(&*database).await }
    });
    let proving = tokio::spawn({
        let prover = Arc::clone(&served.prover);
        async move { prover.run().await }
    });
    let fenced = async {
        match proving.await {
            Ok(reason) => Cause::Fenced(reason),
            Err(stopped) => Cause::Failed(Problem::new(ErrorCode::Internal, stopped.to_string())),
        }
    };
    let given_up = async {
        match publishing.await {
            Ok(error) => of_publish(served, &error),
            Err(stopped) => Cause::Failed(Problem::new(ErrorCode::Internal, stopped.to_string())),
        }
    };
    let not_shipped = async {
        match shipping.await {
            Ok(error @ (ShipError::Fenced { .. } | ShipError::Ended(_))) => Cause::Fenced(error.to_string()),
            Ok(error) => Cause::Failed(Problem::new(ErrorCode::Internal, error.to_string())),
            Err(stopped) => Cause::Failed(Problem::new(ErrorCode::Internal, stopped.to_string())),
        }
    };
    let life = async {
        match until_draining(served, lifecycle, eviction, stop).await {
            Cause::Drain => drain_and_seal(served, eviction).await,
            Cause::Damaged(problem) => {
                // What was committed here is whole, and sealed if that needs nothing of what is damaged.
                served.begin_draining(lifecycle, "damage in the bucket");
                match drain_and_seal(served, eviction).await {
                    fenced @ Cause::Fenced(_) => fenced,
                    _ => Cause::Failed(problem),
                }
            }
            cause => cause,
        }
    };
    let cause = tokio::select! {
        biased;
        cause = fenced => cause,
        cause = life => cause,
        cause = not_shipped => cause,
        cause = given_up => cause,
    };
    end(served, lifecycle, cause)
}

async fn until_draining(
    served: &Served,
    lifecycle: &Lifecycle,
    eviction: Eviction,
    stop: &CancellationToken,
) -> Cause {
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                served.begin_draining(lifecycle, "SIGTERM");
                return Cause::Drain;
            }
            _ = lifecycle.reached(|state| state == RuntimeState::Draining) => return Cause::Drain,
            () = served.environment.clock.sleep(TICK) => {}
        }
        if let Some(damage) = served.database.damage().found() {
            return Cause::Damaged(damage.clone());
        }
        if served.engine.has_failed() {
            return Cause::Failed(Problem::new(
                ErrorCode::EngineFailed,
                "the engine met a fatal error; the next request starts it again from what the bucket holds",
            ));
        }
        let now = served.environment.clock.monotonic();
        if served.database.log_is_doubtful() && served.admission.close_if_idle(now, Duration::ZERO, draining)
        {
            served.begin_draining(lifecycle, "a rename that failed left its name in the log");
            return Cause::Drain;
        }
        let busy = served.engine.activity().open_transactions > 0;
        if let Some(timeout) = eviction.idle_timeout
            && !busy
            && served.admission.close_if_idle(now, timeout, draining)
        {
            served.begin_draining(lifecycle, "idle");
            return Cause::Drain;
        }
    }
}

/// Nobody new is let in. Lets requests end, interrupts the rest, publishes and seals.
async fn drain_and_seal(served: &Served, eviction: Eviction) -> Cause {
    let started = served.environment.clock.monotonic();
    let patience = eviction.drain_timeout / SHARE_FOR_REQUESTS;
    if tokio::time::timeout(patience, served.admission.empty()).await.is_err() {
        let requests = served.admission.drain();
        tracing::warn!(requests, "interrupting requests that draining waited for");
        let _ = tokio::time::timeout(INTERRUPT_GRACE, served.admission.empty()).await;
    }
    match served.publisher.seal(started + eviction.drain_timeout).await {
        Ok(_) => Cause::Drain,
        Err(error) => of_publish(served, &error),
    }
}

fn of_publish(served: &Served, error: &PublishError) -> Cause {
    match error {
        PublishError::Fenced { found, .. } => {
            served.prover.revoke(found.clone());
            Cause::Fenced(error.to_string())
        }
        _ => Cause::Failed(problems::of_store(error)),
    }
}

fn end(served: &Served, lifecycle: &Lifecycle, cause: Cause) -> Ending {
    let (state, problem) = match cause {
        Cause::Drain => (RuntimeState::Sealed, None),
        Cause::Fenced(reason) => {
            served.prover.revoke(reason.clone());
            (RuntimeState::Fenced, Some(Problem::new(ErrorCode::Fenced, reason)))
        }
        Cause::Damaged(problem) | Cause::Failed(problem) => (RuntimeState::Failed, Some(problem)),
    };
    served.admission.close(problem.clone().unwrap_or_else(draining));
    let why = problem.as_ref().map_or_else(|| "the last publish is sealed".to_owned(), ToString::to_string);
    if let Err(error) = lifecycle.advance(state, &why) {
        tracing::error!(%error, "a state was skipped");
    }
    Ending {
        state,
        position: position(served),
        database_size: Some(served.database.size()),
        last_active: Some(last_active(served)),
        problem,
        report: None,
    }
}

/// Report of the runtime on itself.
pub fn status(served: &Served, lifecycle: &Lifecycle) -> RuntimeStatus {
    RuntimeStatus {
        version: PROTOCOL_VERSION,
        state: lifecycle.state(),
        position: position(served),
        database_size: served.database.size(),
        durable_lag_millis: u64::try_from(served.publisher.durable_lag().as_millis()).unwrap_or(u64::MAX),
        last_active: last_active(served),
        running: u32::try_from(served.admission.running()).unwrap_or(u32::MAX),
    }
}

fn position(served: &Served) -> Option<Position> {
    served.branch.position()
}

fn last_active(served: &Served) -> UnixMillis {
    let clock = &served.environment.clock;
    let ago = clock.monotonic().saturating_sub(served.admission.last_received());
    let now = UnixMillis::clamped(clock.now().as_millisecond());
    UnixMillis(now.0.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(0)))
}
