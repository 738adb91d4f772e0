//! The API server as wakes use it. They read objects themselves: no cache decides anything about a wake.

use std::sync::Arc;

use roost_protocol::problem::{ErrorCode, Problem};

use crate::context::Context;

/// Asks the API server.
pub struct RealCluster(pub Arc<Context>);

#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn api_failed(error: kube::Error) -> Problem {
    tracing::warn!(%error, "the API server failed on a wake");
    Problem::new(ErrorCode::Busy, "the Kubernetes API server does not answer as it should; try again")
        .retry_after(1)
}
