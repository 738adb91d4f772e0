//! Metrics of the cache that the database file is.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use roost_store::pager::Pager;
use std::{
    fmt,
    sync::{Arc, Weak},
};

/// Tells what a pager counted, when it is asked.
#[derive(Debug)]
pub struct CacheMetrics(Weak<Pager>);

impl CacheMetrics {
    /// Of this pager, as long as it lives.
    pub fn new(pager: &Arc<Pager>) -> Self {
        Self(Arc::downgrade(pager))
    }
}

impl Collector for CacheMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(pager) = self.0.upgrade() else { return Ok(()) };
        let counts = pager.counts();
        let mut counter = |name: &str, help: &str, value: u64| {
            let counter = ConstCounter::new(value);
            let encoder = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(encoder)
        };
        counter("cache_faults", "Reads that waited for object storage", counts.faults)?;
        counter("cache_requests", "Requests for parts of the database", counts.requests)?;
        counter("cache_fetched_bytes", "Stored bytes of their answers", counts.fetched_bytes)?;
        counter("cache_evicted_chunks", "Chunks that left the cache for others", counts.evicted_chunks)?;
        let cached = ConstGauge::new(i64::try_from(counts.cached_bytes).unwrap_or(i64::MAX));
        let help = "Bytes of the database in the cache";
        cached.encode(encoder.encode_descriptor("cache", help, Some(&Unit::Bytes), cached.metric_type())?)
    }
}
