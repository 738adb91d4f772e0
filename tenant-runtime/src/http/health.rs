//! Plain HTTP for the kubelet and Prometheus.

use crate::{lifecycle::Lifecycle, metrics::Metrics};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;

/// What health and metrics are read from.
#[derive(Clone)]
pub struct Health {
    /// The state.
    pub lifecycle: Arc<Lifecycle>,
    /// The metrics.
    pub metrics: Metrics,
}

/// `/healthz` and `/readyz` say that the process is up (a pooled one is ready for a grant); `/metrics`.
pub fn routes(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn metrics(State(health): State<Health>) -> Response {
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    health.metrics.render(&health.lifecycle).map_or_else(
        |_| StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        |text| ([(header::CONTENT_TYPE, FORMAT)], text).into_response(),
    )
}
