//! Calls to runtime pods: orders and grants, signed.

use std::time::Duration;

use roost_protocol::{
    PROTOCOL_VERSION,
    command::{COMMAND_VALIDITY, Command, CommandRequest, Order},
    grant::{Grant, GrantRequest},
    names::paths,
    status::RuntimeStatus,
    time::UnixMillis,
};
use uuid::Uuid;

use super::client::{CallError, call};
use crate::{context::Context, pods::PodView};

/// Longest time that a report may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time that the first answer to a drain may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that a publish may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_mins(2);

fn unready(pod: &PodView, reason: &dyn std::fmt::Display) -> CallError {
    CallError::Unreachable { pod: pod.name.clone(), address: "no address".into(), reason: reason.to_string() }
}

/// Gives an order; the pod answers with its status.
#[allow(clippy::disallowed_methods, reason = "a nonce has to be unguessable")]
pub async fn order(context: &Context, pod: &PodView, order: Order) -> Result<RuntimeStatus, CallError> {
    let trusted = context.trusted().map_err(|error| unready(pod, &error))?;
    let address = pod.address().ok_or_else(|| unready(pod, &"it has not started or has ended"))?;
    let command = Command {
        version: PROTOCOL_VERSION,
        pod_uid: pod.uid.clone(),
        not_after: UnixMillis::clamped(context.now().as_millisecond()).plus(COMMAND_VALIDITY),
        nonce: Uuid::new_v4(),
        order,
    };
    let command = trusted.trust.signing.sign(&command).map_err(|error| unready(pod, &error))?;
    let timeout = match order {
        Order::Report => REPORT_TIMEOUT,
        Order::Publish => PUBLISH_TIMEOUT,
        Order::Drain => DRAIN_TIMEOUT,
    };
    call(&trusted.tls, &address, paths::COMMAND, &CommandRequest { command }, timeout).await
}

/// Hands over a grant.
pub async fn hand_over(
    context: &Context,
    pod: &PodView,
    grant: &Grant,
    timeout: Duration,
) -> Result<RuntimeStatus, CallError> {
    let trusted = context.trusted().map_err(|error| unready(pod, &error))?;
    let address = pod.address().ok_or_else(|| unready(pod, &"it has not started or has ended"))?;
    let grant = trusted.trust.signing.sign(grant).map_err(|error| unready(pod, &error))?;
    call(&trusted.tls, &address, paths::GRANT, &GrantRequest { grant }, timeout).await
}

/// Makes a pod leave: by command, and where it cannot be asked, by deletion, whose SIGTERM means the same.
pub async fn drain(context: &Context, pod: &PodView) -> Result<(), kube::Error> {
    if pod.leaving || pod.finished() {
        return Ok(());
    }
    match order(context, pod, Order::Drain).await {
        Ok(status) => {
            tracing::info!(pod = %pod.name, state = ?status.state, "drain ordered");
            Ok(())
        }
        Err(error) => {
            tracing::info!(pod = %pod.name, %error, "cannot be asked to drain; deleted instead");
            context.pods.delete(pod).await
        }
    }
}
