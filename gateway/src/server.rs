//! The server towards clients: HTTP, plain or TLS.

use crate::http::Gateway;
use http::{HeaderValue, header};
use hyper::service::service_fn;
use roost_transport::{
    accept::{Accepted, Bounds, WhenFull, accept},
    http::HttpServer,
    tls::ServerTls,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Longest TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Most connections at once.
    pub connections: u32,
    /// Longest time for a request's headers to arrive, and for a connection to lie idle.
    pub header_timeout: Duration,
    /// Time that requests in flight may take to finish after the server stopped accepting.
    pub grace: Duration,
}

/// The server of one listener.
pub struct Server {
    /// Answers.
    pub gateway: Arc<Gateway>,
    /// TLS towards clients, if any.
    pub tls: Option<ServerTls>,
    /// Bounds.
    pub limits: ServerLimits,
    /// Set when the server is about to stop: answers tell clients to use another connection from then on, so that
    /// few are left to be cut while a request is on its way.
    pub leaving: CancellationToken,
}

impl Server {
    /// Serves until `stop`, then lets requests in flight finish within the grace period and cuts the rest.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let bounds = Bounds {
            connections: self.limits.connections as usize,
            when_full: WhenFull::Wait,
            keepalive: None,
            grace: self.limits.grace,
        };
        let http = HttpServer { tls: self.tls.clone(), head_timeout: self.limits.header_timeout };
        let (server, http) = (Arc::new(self), Arc::new(http));
        let handler = |accepted| {
            let (server, http) = (Arc::clone(&server), Arc::clone(&http));
            async move { server.converse(&http, accepted).await }
        };
        accept(listener, bounds, stop, handler).await;
    }

    async fn converse(&self, http: &HttpServer, accepted: Accepted) {
        let _counted = self.gateway.metrics.connection();
        let (peer, places) = (accepted.peer, accepted.places.clone());
        let places = &places;
        let service = service_fn(|request| async move {
            let mut answer = self.gateway.handle(request, peer).await;
            // The last place is held for the next connection.
            if places.are_taken() || self.leaving.is_cancelled() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        });
        http.serve_connection(accepted, service).await;
    }
}
