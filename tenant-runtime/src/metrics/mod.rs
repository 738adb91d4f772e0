//! Prometheus metrics, one sub-registry a subsystem.

mod cache;

use crate::{lifecycle::Lifecycle, metrics::cache::CacheMetrics};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use roost_protocol::problem::ErrorCode;
use roost_store::{Published, pager::Pager};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

/// Seconds; wide enough for a query of a millisecond and a publish of minutes.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

/// All metrics of a runtime.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    /// Publishing.
    pub publish: PublishMetrics,
    /// Shipping.
    pub ship: ShipMetrics,
    /// Queries.
    pub queries: QueryMetrics,
    /// Waking.
    pub wake: WakeMetrics,
}

/// Publishing.
#[derive(Clone)]
pub struct PublishMetrics {
    succeeded: Counter,
    failed: Counter,
    held: Counter,
    bytes: Counter,
    read_chunks: Counter,
    uploaded_chunks: Counter,
    seconds: Histogram,
    gate_closed_seconds: Histogram,
    lag_seconds: Gauge<f64, AtomicU64>,
    clock_behind_seconds: Gauge<f64, AtomicU64>,
}

/// Shipping.
#[derive(Clone)]
pub struct ShipMetrics {
    segments: Counter,
    commits: Counter,
    bytes: Counter,
    seconds: Histogram,
}

/// Queries.
#[derive(Clone)]
pub struct QueryMetrics {
    running: Gauge,
    seconds: Histogram,
    ended: Family<Ended, Counter>,
    rows: Counter,
    bytes: Counter,
}

/// Waking.
#[derive(Clone)]
pub struct WakeMetrics {
    /// Time from the grant to serving.
    pub seconds: Histogram,
    /// Bytes of the database file when it was opened.
    pub database_bytes: Gauge,
}

/// Outcome of a query: `ok`, or the error's name.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    outcome: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut root = Registry::with_prefix("roost_runtime");
        let publish = PublishMetrics::register(root.sub_registry_with_prefix("publish"));
        let ship = ShipMetrics::register(root.sub_registry_with_prefix("ship"));
        let queries = QueryMetrics::register(root.sub_registry_with_prefix("query"));
        let wake = WakeMetrics::register(root.sub_registry_with_prefix("wake"));
        Self { registry: Arc::new(Mutex::new(root)), publish, ship, queries, wake }
    }
}

impl Metrics {
    /// Shows the counts of this pager, as long as it lives.
    pub fn watch_cache(&self, pager: &Arc<Pager>) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(CacheMetrics::new(pager)));
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self, lifecycle: &Lifecycle) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        // The state is one value of a fixed set, so it is written by hand in front of the end mark.
        let state = format!(
            "# HELP roost_runtime_state State of this runtime.\n# TYPE roost_runtime_state gauge\n\
             roost_runtime_state{{state=\"{:?}\"}} 1\n# EOF\n",
            lifecycle.state()
        );
        Ok(text.replace("# EOF\n", &state))
    }
}

impl PublishMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            succeeded: Counter::default(),
            failed: Counter::default(),
            held: Counter::default(),
            bytes: Counter::default(),
            read_chunks: Counter::default(),
            uploaded_chunks: Counter::default(),
            seconds: Histogram::new(SECONDS),
            gate_closed_seconds: Histogram::new(SECONDS),
            lag_seconds: Gauge::default(),
            clock_behind_seconds: Gauge::default(),
        };
        registry.register("succeeded", "Publishes that succeeded", metrics.succeeded.clone());
        registry.register("failed", "Publishes that failed", metrics.failed.clone());
        let held = "Commits that waited for a publish because replaying them is not proven";
        registry.register("held_commits", held, metrics.held.clone());
        registry.register("bytes", "Bytes uploaded by publishes", metrics.bytes.clone());
        registry.register("read_chunks", "Chunks read by publishes", metrics.read_chunks.clone());
        registry.register("uploaded_chunks", "Chunks uploaded by publishes", metrics.uploaded_chunks.clone());
        registry.register("seconds", "Time of a publish", metrics.seconds.clone());
        let gate = "Time that a publish held writers back";
        registry.register("gate_closed_seconds", gate, metrics.gate_closed_seconds.clone());
        let lag = "Age of the oldest commit that a crash would lose";
        registry.register("durable_lag_seconds", lag, metrics.lag_seconds.clone());
        let clock = "How far this machine's clock is behind the bucket's, to within a second";
        registry.register("clock_behind_seconds", clock, metrics.clock_behind_seconds.clone());
        metrics
    }

    /// A publish succeeded.
    pub fn succeeded(&self, published: &Published, took: Duration) {
        self.succeeded.inc();
        self.bytes.inc_by(published.bytes);
        self.read_chunks.inc_by(published.read_chunks);
        self.uploaded_chunks.inc_by(published.uploaded_chunks);
        self.seconds.observe(took.as_secs_f64());
    }

    /// A publish failed.
    pub fn failed(&self) {
        self.failed.inc();
    }

    /// So many commits waited for a publish because replaying them is not proven.
    pub fn held(&self, commits: u64) {
        self.held.inc_by(commits);
    }

    /// A publish held writers back.
    pub fn gate_was_closed(&self, took: Duration) {
        self.gate_closed_seconds.observe(took.as_secs_f64());
    }

    /// Notes by how much the bucket's clock is ahead of this machine's.
    pub fn observe_clock(&self, ahead: jiff::SignedDuration) {
        self.clock_behind_seconds.set(ahead.as_secs_f64());
    }

    /// Notes the age of the oldest commit that is not in the bucket yet.
    pub fn observe_lag(&self, lag: Duration) {
        self.lag_seconds.set(lag.as_secs_f64());
    }
}

impl ShipMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            segments: Counter::default(),
            commits: Counter::default(),
            bytes: Counter::default(),
            seconds: Histogram::new(SECONDS),
        };
        registry.register("segments", "Segments of WAL put into the bucket", metrics.segments.clone());
        registry.register("commits", "Commits in them", metrics.commits.clone());
        registry.register("bytes", "Bytes of WAL in them", metrics.bytes.clone());
        registry.register("seconds", "Time until one is in the bucket", metrics.seconds.clone());
        metrics
    }

    /// A segment is in the bucket.
    pub fn shipped(&self, commits: usize, bytes: u64, took: Duration) {
        self.segments.inc();
        self.commits.inc_by(commits as u64);
        self.bytes.inc_by(bytes);
        self.seconds.observe(took.as_secs_f64());
    }
}

impl QueryMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            running: Gauge::default(),
            seconds: Histogram::new(SECONDS),
            ended: Family::default(),
            rows: Counter::default(),
            bytes: Counter::default(),
        };
        registry.register("running", "Queries that run now", metrics.running.clone());
        registry.register(
            "seconds",
            "Time of a query until its last byte was taken",
            metrics.seconds.clone(),
        );
        registry.register("ended", "Queries that ended, by how", metrics.ended.clone());
        registry.register("rows", "Rows sent", metrics.rows.clone());
        registry.register("bytes", "Bytes of results sent", metrics.bytes.clone());
        metrics
    }

    /// A query was admitted.
    pub fn started(&self) {
        self.running.inc();
    }

    /// A query ended.
    pub fn ended(&self, error: Option<ErrorCode>, took: Duration) {
        self.running.dec();
        self.seconds.observe(took.as_secs_f64());
        let outcome = error.map_or("ok", ErrorCode::name).to_owned();
        self.ended.get_or_create(&Ended { outcome }).inc();
    }

    /// Rows and bytes were handed to the connection.
    pub fn sent(&self, rows: usize, bytes: usize) {
        self.rows.inc_by(rows as u64);
        self.bytes.inc_by(bytes as u64);
    }
}

impl WakeMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self { seconds: Histogram::new(SECONDS), database_bytes: Gauge::default() };
        registry.register("seconds", "Time from the grant to serving", metrics.seconds.clone());
        let bytes = "Bytes of the database file when it was opened";
        registry.register("database_bytes", bytes, metrics.database_bytes.clone());
        metrics
    }
}
