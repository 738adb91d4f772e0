//! The wake server: TLS, one path, bounded bodies and connections.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use roost_protocol::{
    is_compatible,
    names::paths,
    problem::{ErrorCode, PROBLEM_MEDIA_TYPE, Problem},
    wake::{Route, WakeRequest},
};
use rustls::ServerConfig;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    auth::Authenticator,
    service::Waker,
    world::{Cluster, Runtimes},
};

/// Longest request body.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Connections at a time.
const MAX_CONNECTIONS: usize = 2_000;
/// Longest time a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time the head of a request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may go on after shutdown began.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Pause after the listener failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

struct Service<C, R> {
    waker: Arc<Waker<C, R>>,
    authenticator: Authenticator,
}

/// Serves wakes until `stop`, then lets open requests end.
pub async fn serve<C: Cluster, R: Runtimes>(
    listener: TcpListener,
    tls: watch::Receiver<Arc<ServerConfig>>,
    waker: Arc<Waker<C, R>>,
    authenticator: Authenticator,
    stop: CancellationToken,
) {
    let service = Arc::new(Service { waker, authenticator });
    let router = Router::new()
        .route(paths::WAKE, post(wake::<C, R>))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the wake server could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%peer, "too many connections; one was closed");
            continue;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
        let (router, watcher) = (router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _place = place;
            let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => return tracing::debug!(%peer, "TLS handshake took too long"),
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("open wakes were cut at shutdown");
    }
}

async fn wake<C: Cluster, R: Runtimes>(
    State(service): State<Arc<Service<C, R>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&service, &headers, &body).await {
        Ok(route) => Json(route).into_response(),
        Err(problem) => refuse(&problem),
    }
}

async fn answer<C: Cluster, R: Runtimes>(
    service: &Service<C, R>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Route, Problem> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    service.authenticator.check(authorization).await?;
    let bad = |why: String| Problem::new(ErrorCode::BadRequest, why);
    let request: WakeRequest = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    if !is_compatible(request.version) {
        return Err(bad(format!("protocol version {} is not understood here", request.version)));
    }
    service.waker.wake(&request).await
}

fn refuse(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    let media_type = header::HeaderValue::from_static(PROBLEM_MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    if let Some(seconds) = problem.particulars().retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}
