//! The connections that requests come over.

use axum::Router;
use roost_transport::{
    accept::{Bounds, WhenFull},
    http::HttpServer,
    tls::ServerTls,
};
use std::time::Duration;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Longest time of a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// Time that a request's head may take, and an idle connection is kept: longer than clients keep theirs (90 s in Go's
/// and Rust's), so that none sends a request into a connection that just closes.
const HEAD_TIMEOUT: Duration = Duration::from_mins(2);

/// The connections of one port. Dropping it ends nothing.
pub struct Connections {
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Connections {
    /// Serves until [`Self::close`], and then answers under way for at most `grace`.
    pub fn serve(listener: TcpListener, tls: Option<ServerTls>, router: Router, grace: Duration) -> Self {
        let bounds =
            Bounds { connections: MAX_CONNECTIONS, when_full: WhenFull::Wait, keepalive: None, grace };
        let server = HttpServer { tls, head_timeout: HEAD_TIMEOUT };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve_router(listener, bounds, router, stop.clone()));
        Self { stop, serving }
    }

    /// Takes no new connections, lets answers under way end within the grace period, and cuts the rest.
    pub async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the server ended abnormally");
        }
    }
}
