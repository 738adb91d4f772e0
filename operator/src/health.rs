//! /healthz, /readyz and /metrics.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What readiness is made of.
#[derive(Debug, Default)]
pub struct Health {
    waking: AtomicBool,
}

impl Health {
    /// The keys are loaded and the wake server listens, or no longer does.
    pub fn set_waking(&self, waking: bool) {
        self.waking.store(waking, Ordering::Release);
    }

    fn ready(&self) -> (StatusCode, &'static str) {
        if self.waking.load(Ordering::Acquire) {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the internal keys are not loaded or wakes are not served")
        }
    }
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "alive" }))
        .route(
            "/readyz",
            get(|State((health, _)): State<(Arc<Health>, Arc<Metrics>)>| async move { health.ready() }),
        )
        .route(
            "/metrics",
            get(|State((_, metrics)): State<(Arc<Health>, Arc<Metrics>)>| async move {
                metrics.encoded().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
            }),
        )
        .with_state((health, metrics));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
