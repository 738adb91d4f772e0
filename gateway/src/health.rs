//! The port for probes and Prometheus.

use crate::{keys::KeysReceiver, metrics::Metrics, operator::EndpointsReceiver};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use tokio_util::sync::CancellationToken;

/// Most connections to this port at once.
const MAX_CONNECTIONS: usize = 64;
/// Longest time for a request to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What probes ask about.
pub struct Health {
    /// Loaded once the operator has made them.
    pub keys: KeysReceiver,
    /// Known once an operator replica is ready.
    pub endpoints: EndpointsReceiver,
    /// Set when the gateway is about to leave.
    pub leaving: CancellationToken,
    /// What to show.
    pub metrics: Arc<Metrics>,
}

impl Health {
    /// Serves for ever.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for health");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                let _place = place;
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let answer = this.answer(request.uri().path());
                    async { Ok::<_, Infallible>(answer) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(error) = served {
                    tracing::debug!(%error, "health connection ended");
                }
            });
        }
    }

    /// Answers a path.
    pub fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        match path {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.obstacle() {
                None => text(StatusCode::OK, "ok\n"),
                Some(obstacle) => text(StatusCode::SERVICE_UNAVAILABLE, obstacle),
            },
            "/metrics" => match self.metrics.render() {
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

    fn obstacle(&self) -> Option<&'static str> {
        if self.leaving.is_cancelled() {
            Some("leaving\n")
        } else if self.keys.borrow().is_none() {
            Some("waiting for the operator to make the internal keys\n")
        } else if self.endpoints.borrow().is_empty() {
            Some("no operator replica is ready\n")
        } else {
            None
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
