//! Metrics of wakes.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use roost_protocol::{problem::Problem, wake::Route};

use super::labels::{BUCKETS, OutcomeLabel};

/// Wakes.
#[derive(Clone, Debug)]
pub struct WakeMetrics {
    outcomes: Family<OutcomeLabel, Counter>,
    seconds: Histogram,
}

impl Default for WakeMetrics {
    fn default() -> Self {
        Self { outcomes: Family::default(), seconds: Histogram::new(BUCKETS) }
    }
}

impl WakeMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let part = registry.sub_registry_with_prefix("wake");
        part.register("outcomes", "Wakes by outcome", self.outcomes.clone());
        part.register("seconds", "Duration of successful wakes", self.seconds.clone());
    }

    /// Counts a finished flight.
    pub fn observe(&self, outcome: &Result<Route, Problem>, took: Duration) {
        let label = outcome.as_ref().map_or_else(|problem| problem.code.name(), |_| "awake");
        self.outcomes.get_or_create(&OutcomeLabel { outcome: label.to_owned() }).inc();
        if outcome.is_ok() {
            self.seconds.observe(took.as_secs_f64());
        }
    }
}
