//! Health of the gateway, for probes and Prometheus.

use crate::{keys::KeysReceiver, metrics::Metrics, operator::EndpointsReceiver};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Sources of the gateway's readiness and metrics.
pub struct Health {
    /// Loaded once the operator has made them.
    pub keys: KeysReceiver,
    /// Known once an operator replica is ready.
    pub endpoints: EndpointsReceiver,
    /// Set when the gateway is about to leave.
    pub leaving: CancellationToken,
    /// Metrics to show.
    pub metrics: Arc<Metrics>,
}

impl roost_transport::health::Health for Health {
    fn obstacle(&self) -> Option<&'static str> {
        if self.leaving.is_cancelled() {
            Some("leaving\n")
        } else if self.keys.borrow().is_none() {
            Some("waiting for the operator to make the internal keys\n")
        } else if self.endpoints.borrow().is_empty() {
            Some("no operator replica is ready\n")
        } else {
            None
        }
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.metrics.render()
    }
}
