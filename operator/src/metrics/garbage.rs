//! Metrics of garbage collection.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use roost_store::garbage::Collected;

use super::labels::OutcomeLabel;

/// Garbage collection.
#[derive(Clone, Debug, Default)]
pub struct GarbageMetrics {
    runs: Family<OutcomeLabel, Counter>,
    objects: Counter,
    bytes: Counter,
}

impl GarbageMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let part = registry.sub_registry_with_prefix("garbage");
        part.register("runs", "Collections by outcome", self.runs.clone());
        part.register("deleted_objects", "Objects that collections deleted", self.objects.clone());
        part.register("deleted_bytes", "Their size in bytes", self.bytes.clone());
    }

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
