//! The wake server: TLS, one path, bounded bodies and connections.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, header},
    routing::post,
};
use roost_protocol::{
    is_compatible,
    names::paths,
    problem::{ErrorCode, Problem},
    wake::{Route, WakeRequest},
};
use roost_transport::{
    accept::{Bounds, WhenFull},
    http::HttpServer,
    problem::Refused,
    tls::ServerTls,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    auth::Authenticator,
    service::Waker,
    world::{Cluster, Runtimes},
};

/// Longest request body.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Longest time a TLS handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds of the listener. The gateway asks another replica when this one closes its connection.
const BOUNDS: Bounds = Bounds {
    connections: 2_000,
    when_full: WhenFull::Close,
    keepalive: None,
    grace: Duration::from_secs(10),
};

struct Service<C, R> {
    waker: Arc<Waker<C, R>>,
    authenticator: Authenticator,
}

/// Serves wakes until `stop`, then lets open requests end.
pub async fn serve<C: Cluster, R: Runtimes>(
    listener: TcpListener,
    tls: ServerTls,
    waker: Arc<Waker<C, R>>,
    authenticator: Authenticator,
    stop: CancellationToken,
) {
    let service = Arc::new(Service { waker, authenticator });
    let router = Router::new()
        .route(paths::WAKE, post(wake::<C, R>))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service);
    let server = HttpServer { tls: Some(tls), head_timeout: HEAD_TIMEOUT };
    server.serve_router(listener, BOUNDS, router, stop).await;
}

async fn wake<C: Cluster, R: Runtimes>(
    State(service): State<Arc<Service<C, R>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Route>, Refused> {
    answer(&service, &headers, &body).await.map(Json).map_err(Refused)
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
