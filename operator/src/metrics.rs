//! Prometheus metrics: a sub-registry for each part.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use roost_protocol::{problem::Problem, wake::Route};
use roost_store::garbage::Collected;

/// Seconds at which a wake's or reconcile's duration is counted.
const BUCKETS: [f64; 12] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 120.0];

/// Label `outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    outcome: String,
}

/// Labels `kind` and `outcome`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReconcileLabels {
    kind: &'static str,
    outcome: &'static str,
}

/// Label `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    kind: &'static str,
}

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
    /// Counts a finished flight.
    pub fn observe(&self, outcome: &Result<Route, Problem>, took: Duration) {
        let label = outcome.as_ref().map_or_else(|problem| problem.code.name(), |_| "awake");
        self.outcomes.get_or_create(&OutcomeLabel { outcome: label.to_owned() }).inc();
        if outcome.is_ok() {
            self.seconds.observe(took.as_secs_f64());
        }
    }
}

/// Reconciles.
#[derive(Clone, Debug)]
pub struct ReconcileMetrics {
    outcomes: Family<ReconcileLabels, Counter>,
    seconds: Family<KindLabel, Histogram>,
    queued: Family<KindLabel, Gauge>,
    elected: Gauge,
    /// Slots freed because their pod was gone.
    pub slots_swept: Counter,
}

impl Default for ReconcileMetrics {
    fn default() -> Self {
        Self {
            outcomes: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            queued: Family::default(),
            elected: Gauge::default(),
            slots_swept: Counter::default(),
        }
    }
}

impl ReconcileMetrics {
    /// Counts a reconcile.
    pub fn observe(&self, kind: &'static str, ok: bool, took: Duration) {
        let outcome = if ok { "ok" } else { "error" };
        self.outcomes.get_or_create(&ReconcileLabels { kind, outcome }).inc();
        self.seconds.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
    }

    /// Shows that this replica reconciles, until what is returned goes.
    #[must_use]
    pub fn lead(&self) -> Leading {
        self.elected.set(1);
        Leading(self.elected.clone())
    }

    /// Shows how many keys wait.
    pub fn queued(&self, kind: &'static str, count: usize) {
        self.queued.get_or_create(&KindLabel { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// A replica that reconciles. However that ends, it is shown no longer.
#[derive(Debug)]
pub struct Leading(Gauge);

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

/// Garbage collection.
#[derive(Clone, Debug, Default)]
pub struct GarbageMetrics {
    runs: Family<OutcomeLabel, Counter>,
    objects: Counter,
    bytes: Counter,
}

impl GarbageMetrics {
    /// Counts a run that came to its end.
    pub fn collected(&self, collected: &Collected) {
        self.runs.get_or_create(&OutcomeLabel { outcome: "ok".into() }).inc();
        self.objects.inc_by(collected.deleted.count);
        self.bytes.inc_by(collected.deleted.bytes);
    }

    /// Counts one that did not.
    pub fn failed(&self) {
        self.runs.get_or_create(&OutcomeLabel { outcome: "error".into() }).inc();
    }
}

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
        let (wakes, reconciles) = (WakeMetrics::default(), ReconcileMetrics::default());
        let garbage = GarbageMetrics::default();
        let part = registry.sub_registry_with_prefix("wake");
        part.register("outcomes", "Wakes by outcome", wakes.outcomes.clone());
        part.register("seconds", "Duration of successful wakes", wakes.seconds.clone());
        let part = registry.sub_registry_with_prefix("reconcile");
        part.register("outcomes", "Reconciles by kind and outcome", reconciles.outcomes.clone());
        part.register("seconds", "Duration of reconciles", reconciles.seconds.clone());
        part.register("queued", "Keys that wait to be reconciled", reconciles.queued.clone());
        part.register("elected", "1 while this replica reconciles", reconciles.elected.clone());
        let part = registry.sub_registry_with_prefix("slots");
        part.register("swept", "Slots freed because their pod was gone", reconciles.slots_swept.clone());
        let part = registry.sub_registry_with_prefix("garbage");
        part.register("runs", "Collections by outcome", garbage.runs.clone());
        part.register("deleted_objects", "Objects that collections deleted", garbage.objects.clone());
        part.register("deleted_bytes", "Their size in bytes", garbage.bytes.clone());
        Arc::new(Self { registry, wakes, reconciles, garbage })
    }

    /// In the text format.
    pub fn encoded(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
