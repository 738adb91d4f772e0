//! Metrics of reconciles.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::labels::BUCKETS;

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
    pub(super) fn register(&self, registry: &mut Registry) {
        let part = registry.sub_registry_with_prefix("reconcile");
        part.register("outcomes", "Reconciles by kind and outcome", self.outcomes.clone());
        part.register("seconds", "Duration of reconciles", self.seconds.clone());
        part.register("queued", "Keys that wait to be reconciled", self.queued.clone());
        part.register("elected", "1 while this replica reconciles", self.elected.clone());
        let part = registry.sub_registry_with_prefix("slots");
        part.register("swept", "Slots freed because their pod was gone", self.slots_swept.clone());
    }

    /// Counts a reconcile.
    pub fn observe(&self, kind: &'static str, ok: bool, took: Duration) {
        let outcome = if ok { "ok" } else { "error" };
        self.outcomes.get_or_create(&ReconcileLabels { kind, outcome }).inc();
        self.seconds.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
    }

    /// Shows that this replica reconciles, until the returned guard is dropped.
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
