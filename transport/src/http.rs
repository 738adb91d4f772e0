//! HTTP/1.1 over accepted connections, plain or TLS.

use crate::{
    accept::{Accepted, Bounds, accept},
    tls::ServerTls,
};
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{error::Error, future::Future, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_util::{either::Either, sync::CancellationToken};

/// Most header fields of a request.
const MAX_HEADERS: usize = 64;
/// Most bytes of a request's head, and of an answer that the client has not taken yet.
const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;

/// Why a body or a service failed.
type BoxError = Box<dyn Error + Send + Sync>;

/// Serves HTTP/1.1.
#[derive(Clone, Debug)]
pub struct HttpServer {
    /// TLS towards clients, if any.
    pub tls: Option<ServerTls>,
    /// Longest time for a request's head to arrive, and for a connection to lie idle. Where the client keeps idle
    /// connections this must be longer than the client does, or it sends requests into connections that just close.
    pub head_timeout: Duration,
}

impl HttpServer {
    /// Serves requests of one connection until either side ends it. When the listener stops, an idle connection ends at
    /// once, and a busy one after its answer.
    pub async fn serve_connection<S, B>(&self, accepted: Accepted, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: Body + 'static,
        B::Error: Into<BoxError>,
    {
        let Accepted { stream, peer, ending, .. } = accepted;
        let Some(stream) = self.open(stream, peer).await else { return };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_headers(MAX_HEADERS)
            .max_buf_size(CONNECTION_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = ending.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    async fn open(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<Either<TcpStream, TlsStream<TcpStream>>> {
        let Some(tls) = &self.tls else { return Some(Either::Left(stream)) };
        match tls.handshake(stream).await {
            Ok(stream) => Some(Either::Right(stream)),
            Err(error) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                None
            }
        }
    }

    /// Serves every connection of a listener with clones of one service, until `stop` and the grace period after it.
    pub async fn serve<S, B>(self, listener: TcpListener, bounds: Bounds, service: S, stop: CancellationToken)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Future + Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let handler = |accepted| {
            let (server, service) = (self.clone(), service.clone());
            async move { server.serve_connection(accepted, service).await }
        };
        accept(listener, bounds, stop, handler).await;
    }

    /// Serves a router on every connection of a listener, as [`Self::serve`] does.
    #[cfg(feature = "axum")]
    pub async fn serve_router(
        self,
        listener: TcpListener,
        bounds: Bounds,
        router: axum::Router,
        stop: CancellationToken,
    ) {
        let service = hyper_util::service::TowerToHyperService::new(router);
        self.serve(listener, bounds, service, stop).await;
    }
}
