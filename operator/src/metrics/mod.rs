//! Prometheus metrics: each part of the operator has a file and a sub-registry.

mod garbage;
mod labels;
mod reconciles;
mod wakes;

use std::sync::Arc;

use prometheus_client::{encoding::text::encode, registry::Registry};

pub use garbage::GarbageMetrics;
pub use reconciles::{Leading, ReconcileMetrics};
pub use wakes::WakeMetrics;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Wakes.
    pub wakes: WakeMetrics,
    /// Reconciles.
    pub reconciles: ReconcileMetrics,
    /// Garbage collection.
    pub garbage: GarbageMetrics,
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("roost_operator");
        let wakes = WakeMetrics::default();
        wakes.register(&mut registry);
        let reconciles = ReconcileMetrics::default();
        reconciles.register(&mut registry);
        let garbage = GarbageMetrics::default();
        garbage.register(&mut registry);
        Arc::new(Self { registry, wakes, reconciles, garbage })
    }

    /// Encodes all in the text format.
    pub fn encoded(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn metrics_are_shown_with_their_part() {
        let metrics = Metrics::new();
        metrics.reconciles.observe("Tenant", true, Duration::from_millis(30));
        let text = metrics.encoded().unwrap();
        assert!(
            text.contains(r#"roost_operator_reconcile_outcomes_total{kind="Tenant",outcome="ok"} 1"#),
            "{text}"
        );
    }
}
