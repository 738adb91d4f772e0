//! Health of the operator, as probes ask for it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::metrics::Metrics;

/// State that readiness and metrics are read from.
pub struct Health {
    waking: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Health {
    /// Not ready yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { waking: AtomicBool::new(false), metrics }
    }

    /// The keys are loaded and the wake server listens, or no longer does.
    pub fn set_waking(&self, waking: bool) {
        self.waking.store(waking, Ordering::Release);
    }
}

impl roost_transport::health::Health for Health {
    fn obstacle(&self) -> Option<&'static str> {
        let waking = self.waking.load(Ordering::Acquire);
        (!waking).then_some("the internal keys are not loaded or wakes are not served\n")
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.metrics.encoded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_transport::health::Health as _;

    #[test]
    fn the_operator_is_ready_while_it_serves_wakes() {
        let health = Health::new(Metrics::new());
        for waking in [false, true, false] {
            health.set_waking(waking);
            assert_eq!(health.answer("/readyz").status(), if waking { 200 } else { 503 });
            assert_eq!(health.answer("/healthz").status(), 200);
            assert_eq!(health.answer("/metrics").status(), 200);
        }
    }
}
