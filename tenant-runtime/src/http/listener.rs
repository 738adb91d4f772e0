//! Connections: accepted within a bound, over TLS or plain, each with time limits.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections at once on one port; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request's head may take, and an idle connection is kept: longer than clients keep theirs (90 s in Go's
/// and Rust's), so that none sends a request into a connection that just closes.
const HEAD_TIMEOUT: Duration = Duration::from_mins(2);
/// Bytes that one connection may buffer in each direction.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// Pause after an accept that failed: the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connections of one port.
#[derive(Clone)]
pub struct Connections {
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Connections {
    /// Listens and serves until [`Self::close`].
    pub fn serve(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, router: Router) -> Self {
        let connections = Self { tasks: TaskTracker::new(), closing: CancellationToken::new() };
        let acceptor = tls.map(TlsAcceptor::from);
        let accepting = connections.clone();
        connections.tasks.spawn(async move { accepting.accept(listener, acceptor, router).await });
        connections
    }

    /// Takes no new connections, lets answers under way end, for at most `patience`.
    pub async fn close(self, patience: Duration) {
        self.closing.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(patience, self.tasks.wait()).await;
    }

    async fn accept(self, listener: TcpListener, acceptor: Option<TlsAcceptor>, router: Router) {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = self.closing.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (acceptor, router, closing) = (acceptor.clone(), router.clone(), self.closing.clone());
            self.tasks.spawn(async move {
                if let Err(error) = connection(stream, acceptor, router, closing).await {
                    tracing::debug!(%error, "a connection ended early");
                }
                drop(place);
            });
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    closing: CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match acceptor {
        None => requests(stream, router, closing).await,
        Some(acceptor) => {
            let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            requests(stream, router, closing).await
        }
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    closing: CancellationToken,
) -> io::Result<()> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(io::Error::other)
}
