//! A copy of a serving branch holds what was committed before it was asked for: the branch is published first.

use roost_crds::Reason;
use roost_protocol::{
    command::Order,
    status::{RuntimeState, RuntimeStatus},
};

use crate::{
    context::Context,
    pods::PodView,
    reasons::Fault,
    runtime::{CallError, calls},
};

/// Asks the branch's pod, if one serves, to publish. A fault means: not yet, look again.
pub async fn flush(
    context: &Context,
    tenant_uid: &str,
    branch: &str,
) -> Result<Result<(), Fault>, kube::Error> {
    let Some(pod) = context.pods.of_branch(tenant_uid, branch).await? else { return Ok(Ok(())) };
    if pod.finished() || pod.address().is_none() {
        // Nothing was committed yet, or its last publish is in the bucket, or lost for good.
        return Ok(Ok(()));
    }
    Ok(judge(&pod, branch, calls::order(context, &pod, Order::Publish).await))
}

fn judge(pod: &PodView, branch: &str, answer: Result<RuntimeStatus, CallError>) -> Result<(), Fault> {
    let wait = |why: String| Err(Fault::new(Reason::SourceNotReady, why));
    match answer {
        Ok(status) => match status.state {
            RuntimeState::Draining => wait(format!("waits for branch {branch} to seal")),
            _ => Ok(()),
        },
        // Before its grant a pod has nothing to publish.
        Err(CallError::Problem(problem))
            if problem.code == roost_protocol::problem::ErrorCode::NotServing =>
        {
            Ok(())
        }
        Err(error) => {
            wait(format!("branch {branch} is served by pod {} and could not be published: {error}", pod.name))
        }
    }
}
