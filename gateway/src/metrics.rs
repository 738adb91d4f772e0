//! The gateway's metrics.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use roost_protocol::problem::ErrorCode;
use std::time::Duration;

/// Labels of a request that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    call: String,
    outcome: String,
}

/// Label of what is counted by its outcome only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: String,
}

/// Counters of what happens. Labels are bounded: the tables of operations and problems, a few outcomes.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    in_flight: Gauge,
    answer_bytes: Counter,
    denials: Family<OutcomeLabels, Counter>,
    wakes: Family<OutcomeLabels, Counter>,
    wake_seconds: Histogram,
    retries: Counter,
    connect_failures: Counter,
    departures: Counter,
    connections: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("roost_gateway");
        let requests = Family::default();
        let request_seconds = Histogram::new(exponential_buckets(0.005, 2.0, 18));
        let in_flight = Gauge::default();
        let answer_bytes = Counter::default();
        registry.register("requests", "Requests of the query API that ended", requests.clone());
        registry.register_with_unit(
            "request",
            "Time until a request ended",
            Unit::Seconds,
            request_seconds.clone(),
        );
        registry.register("requests_in_flight", "Requests of the query API that go on", in_flight.clone());
        registry.register_with_unit(
            "answer",
            "Sent to clients in answers",
            Unit::Bytes,
            answer_bytes.clone(),
        );
        let access = registry.sub_registry_with_prefix("access");
        let denials = Family::default();
        access.register("denials", "Requests refused because of who asked", denials.clone());
        let wake = registry.sub_registry_with_prefix("wake");
        let wakes = Family::default();
        let wake_seconds = Histogram::new(exponential_buckets(0.05, 2.0, 13));
        wake.register("wakes", "Wakes that ended", wakes.clone());
        wake.register_with_unit("duration", "Time that a wake took", Unit::Seconds, wake_seconds.clone());
        let proxy = registry.sub_registry_with_prefix("proxy");
        let retries = Counter::default();
        proxy.register("retries", "Requests sent again because nothing was executed", retries.clone());
        let connect_failures = Counter::default();
        proxy.register(
            "connect_failures",
            "Connections to runtime pods that did not come about",
            connect_failures.clone(),
        );
        let departures = Counter::default();
        proxy.register(
            "departures",
            "Pods that closed their last connection, whose routes were dropped for it",
            departures.clone(),
        );
        let connections = Gauge::default();
        registry.register("connections", "Open client connections", connections.clone());
        Self {
            registry,
            requests,
            request_seconds,
            in_flight,
            answer_bytes,
            denials,
            wakes,
            wake_seconds,
            retries,
            connect_failures,
            departures,
            connections,
        }
    }
}

impl Metrics {
    /// A request of the query API came in.
    pub fn request_began(&self) {
        self.in_flight.inc();
    }

    /// It ended. `call` is the name of its operation, `outcome` a problem's or one of a few words.
    pub fn request_ended(&self, call: &str, outcome: &str, elapsed: Duration, bytes: u64) {
        self.in_flight.dec();
        let labels = RequestLabels { call: call.into(), outcome: outcome.into() };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.observe(elapsed.as_secs_f64());
        self.answer_bytes.inc_by(bytes);
    }

    /// Somebody was refused.
    pub fn denied(&self, code: ErrorCode) {
        self.denials.get_or_create(&OutcomeLabels { outcome: code.name().to_owned() }).inc();
    }

    /// A wake ended, with a problem or without.
    pub fn woke(&self, problem: Option<ErrorCode>, elapsed: Duration) {
        let outcome = problem.map_or("awake", ErrorCode::name).to_owned();
        self.wakes.get_or_create(&OutcomeLabels { outcome }).inc();
        self.wake_seconds.observe(elapsed.as_secs_f64());
    }

    /// A request is sent again.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// There is no connection to a pod where one was expected.
    pub fn connect_failed(&self) {
        self.connect_failures.inc();
    }

    /// Counts the pods that closed their last connection.
    pub fn departures(&self) -> Counter {
        self.departures.clone()
    }

    /// A client connection, counted until the guard is dropped.
    pub fn connection(&self) -> ConnectionGuard {
        self.connections.inc();
        ConnectionGuard(self.connections.clone())
    }

    /// Everything in the text format of OpenMetrics.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Counts one connection while it lives.
pub struct ConnectionGuard(Gauge);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered() {
        let metrics = Metrics::default();
        metrics.request_began();
        metrics.request_ended("query", "complete", Duration::from_millis(7), 10);
        metrics.woke(Some(ErrorCode::Suspended), Duration::from_secs(1));
        let _connection = metrics.connection();
        let text = metrics.render().unwrap();
        for line in [
            "roost_gateway_requests_total{call=\"query\",outcome=\"complete\"} 1",
            "roost_gateway_answer_bytes_total 10",
            "roost_gateway_wake_wakes_total{outcome=\"suspended\"} 1",
            "roost_gateway_connections 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
