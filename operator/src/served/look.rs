//! A look at the pod of a branch.

use roost_protocol::command::Order;

use crate::{
    pods::{PodView, Serving, Stage},
    reconcile::Elected,
    runtime::calls,
};

/// Looks at a branch's pod; one that serves clears what went wrong before.
pub async fn look(elected: &Elected, tenant_uid: &str, branch: &str, pod: Option<PodView>) -> Serving {
    let Some(pod) = pod else { return Serving::default() };
    let running = matches!(pod.stage, Stage::Running { .. }) && !pod.leaving;
    let runtime = if running { calls::order(&elected.context, &pod, Order::Report).await.ok() } else { None };
    let serving = Serving { pod: Some(pod), runtime };
    if serving.is_said() {
        elected.bad_ends.clear(tenant_uid, branch);
    }
    serving
}
