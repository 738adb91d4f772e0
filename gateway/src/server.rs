//! Accepting client connections: how many, how slow they may be, and how they end.

use crate::{http::Gateway, metrics::Metrics};
use http::{HeaderValue, header};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Longest TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most header fields of a request.
const MAX_HEADERS: usize = 64;
/// Most bytes of a request's headers, and of an answer that the client has not taken yet.
const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;
/// Pause after a failure to accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Most connections at once.
    pub connections: u32,
    /// Longest time for a request's headers to arrive, and for a connection to lie idle.
    pub header_timeout: Duration,
    /// How long requests in flight may take to finish after the server stopped accepting.
    pub grace: Duration,
}

/// The server of one listener.
pub struct Server {
    /// Answers.
    pub gateway: Arc<Gateway>,
    /// TLS towards clients, if any.
    pub tls: Option<TlsAcceptor>,
    /// Bounds.
    pub limits: ServerLimits,
    /// Set when the server is about to stop: answers tell clients to use another connection from then on, so that
    /// few are left to be cut while a request is on its way.
    pub leaving: CancellationToken,
}

impl Server {
    /// Serves until `stop`, then lets requests in flight finish within the grace period and cuts the rest.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.limits.connections as usize));
        let graceful = GracefulShutdown::new();
        let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
        let this = Arc::new(self);
        while let Some((place, stream, peer)) = next_connection(&listener, &places, &stop).await {
            let (server, watcher, cut) = (Arc::clone(&this), graceful.watcher(), cut.clone());
            let places = Arc::clone(&places);
            tasks.spawn(async move {
                let _place = place;
                let _counted = Metrics::connection(&server.gateway.metrics);
                tokio::select! {
                    () = cut.cancelled() => {}
                    () = server.converse(stream, peer, watcher, &places) => {}
                }
            });
        }
        drop(listener);
        tasks.close();
        if timeout(this.limits.grace, async { tokio::join!(graceful.shutdown(), tasks.wait()) })
            .await
            .is_err()
        {
            tracing::warn!(connections = tasks.len(), "grace period over: cutting what is still in flight");
            cut.cancel();
            tasks.wait().await;
        }
    }

    async fn converse(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher, places: &Semaphore) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        match &self.tls {
            None => self.serve(stream, peer, watcher, places).await,
            Some(acceptor) => match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.serve(stream, peer, watcher, places).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            },
        }
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr, watcher: Watcher, places: &Semaphore)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| async move {
            let mut answer = self.gateway.handle(request, peer).await;
            // The last place is held for the next connection.
            let full = places.available_permits() == 0;
            if full || self.leaving.is_cancelled() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(MAX_HEADERS)
            .max_buf_size(CONNECTION_BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, %error, "client connection ended");
        }
    }
}

/// The next connection, once there is a place for it; none when the server stops.
async fn next_connection(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(tokio::sync::OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let accept = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((place, stream, peer)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        connection = accept => connection,
    }
}
