//! Health of a pod, for the kubelet and Prometheus.

use crate::{lifecycle::Lifecycle, metrics::Metrics};
use std::sync::Arc;

/// State and metrics of a pod, as probes and Prometheus read them.
pub struct Health {
    /// The state.
    pub lifecycle: Arc<Lifecycle>,
    /// The metrics.
    pub metrics: Metrics,
}

impl roost_transport::health::Health for Health {
    /// None: a pod is ready for a grant as soon as it listens.
    fn obstacle(&self) -> Option<&'static str> {
        None
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.metrics.render(&self.lifecycle)
    }
}
