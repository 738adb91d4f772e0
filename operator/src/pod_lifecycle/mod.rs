//! The ends of runtime pods: finished ones are removed once their last words are kept, those without an owner drained,
//! those that never start removed.

mod owner;
mod plan;
mod retire;

pub use retire::retire;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roost_protocol::{command::Order, status::RuntimeState};

use plan::{Next, START_LIMIT};
use retire::tell;

use crate::{
    jobs::replay_check,
    pods::{PodView, Purpose, TenantBranch, ending::bad_end},
    reconcile::{Elected, Key, Reconcile, ReconcileError, Requeue},
    runtime::calls,
};

/// Pause between looks at a pod, besides the watch.
const LOOK: Duration = Duration::from_mins(1);
/// Pause before a pod that was asked to drain is looked at again.
const DRAIN_LOOK: Duration = Duration::from_secs(5);

/// Reconciles runtime pods.
pub struct PodReconciler(pub Arc<Elected>);

#[async_trait]
impl Reconcile for PodReconciler {
    const KIND: &'static str = "Pod";

    async fn reconcile(&self, key: &Key) -> Result<Requeue, ReconcileError> {
        let context = &self.0.context;
        let Some(pod) = context.pods.get(&key.name).await? else { return Ok(Requeue::OnChange) };
        let owner = owner::owner(context, &pod).await?;
        let next = plan::plan(&pod, owner, context.now());
        tracing::debug!(?next, ?owner, "pod");
        match next {
            Next::Wait => {}
            Next::Retire => {
                self.remember(&pod);
                retire(context, &pod).await?;
            }
            Next::Remove => {
                if matches!(pod.purpose, Purpose::CheckReplay(_)) {
                    replay_check::release(context, &pod).await;
                }
                context.pods.delete(&pod).await?;
            }
            Next::Drain => {
                calls::drain(context, &pod).await?;
                return Ok(Requeue::After(DRAIN_LOOK));
            }
            Next::GiveUp => {
                let why = pod.obstacle.clone().unwrap_or_else(|| "it got no address".to_owned());
                let note =
                    format!("pod {} did not start within {START_LIMIT:?} and was removed: {why}", pod.name);
                tell(context, &pod, "PodStuck", &note).await?;
                context.pods.delete(&pod).await?;
            }
            Next::AskForGrant => {
                let state = calls::order(context, &pod, Order::Report).await.map(|status| status.state);
                if matches!(state, Ok(RuntimeState::Pooled)) {
                    tracing::warn!(pod = %pod.name, "never got a grant; removed");
                    context.pods.delete(&pod).await?;
                }
            }
        }
        Ok(Requeue::After(LOOK))
    }
}

impl PodReconciler {
    /// Counts a bad end of the branch's pods; a good one clears the count.
    fn remember(&self, pod: &PodView) {
        let bad_ends = &self.0.bad_ends;
        let TenantBranch { key, tenant_uid } = pod.purpose.branch();
        match bad_end(pod) {
            None => bad_ends.clear(tenant_uid, &key.branch),
            Some(problem) => bad_ends.add(tenant_uid, &key.branch, &pod.uid, problem),
        }
    }
}
