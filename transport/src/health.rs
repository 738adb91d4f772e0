//! The port of probes and Prometheus: plain HTTP with `/healthz`, `/readyz` and `/metrics`.

use crate::{
    accept::{Bounds, WhenFull},
    http::HttpServer,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use std::{convert::Infallible, fmt, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bounds of the listener.
const BOUNDS: Bounds = Bounds {
    connections: 64,
    when_full: WhenFull::Wait,
    keepalive: None,
    // Answers are made at once; only a slow reader takes time.
    grace: Duration::from_secs(1),
};
/// Longest time for a request to arrive, and for a connection to lie idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// State of a process that probes and Prometheus ask for.
pub trait Health: Send + Sync + 'static {
    /// Why the process is not ready, as a line of text; none when it is.
    fn obstacle(&self) -> Option<&'static str>;

    /// Its metrics in the text format of OpenMetrics.
    fn metrics(&self) -> Result<String, fmt::Error>;

    /// The answer at a path. `/healthz` says that the process is up, `/readyz` also what it waits for.
    fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        match path {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.obstacle() {
                None => text(StatusCode::OK, "ok\n"),
                Some(obstacle) => text(StatusCode::SERVICE_UNAVAILABLE, obstacle),
            },
            "/metrics" => match self.metrics() {
                Ok(metrics) => {
                    let mut answer = text(StatusCode::OK, metrics);
                    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
                    answer
                }
                Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written\n"),
            },
            _ => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, health: Arc<impl Health>, stop: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = match *request.method() {
            Method::GET | Method::HEAD => health.answer(request.uri().path()),
            _ => not_allowed(),
        };
        async { Ok::<_, Infallible>(answer) }
    });
    let server = HttpServer { tls: None, head_timeout: HEAD_TIMEOUT };
    server.serve(listener, BOUNDS, service, stop).await;
}

fn not_allowed() -> Response<Full<Bytes>> {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
