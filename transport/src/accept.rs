//! The accept loop of every listener: how many connections, and how they end. It knows no protocol: each connection
//! is handed to a handler, and lives as long as the handler's future.

use crate::keepalive::Keepalive;
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Pause after a failure to accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most connections at once.
    pub connections: usize,
    /// Treatment of one more.
    pub when_full: WhenFull,
    /// Probes of the other side, for protocols whose connections may be silent without a bound.
    pub keepalive: Option<Keepalive>,
    /// Time for connections to end once the listener stopped; what is left then is cut.
    pub grace: Duration,
}

/// Treatment of a connection over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits in the kernel's queue until there is a place.
    Wait,
    /// It is accepted and closed, so that the client can try another replica at once.
    Close,
}

/// A connection that was just accepted: nothing was read, and TLS, if any, is still to be negotiated.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: TcpStream,
    /// Whose it is.
    pub peer: SocketAddr,
    /// The places of its listener.
    pub places: Places,
    /// Cancelled when the listener stops: an idle connection is to end at once, a busy one when its work is done.
    pub ending: CancellationToken,
}

/// The places of a listener, one for each connection.
#[derive(Clone, Debug)]
pub struct Places(Arc<Semaphore>);

impl Places {
    /// Whether no further connection can be accepted, or, where those over the limit wait, only the next one.
    pub fn are_taken(&self) -> bool {
        self.0.available_permits() == 0
    }
}

/// Accepts connections until `stop` and hands each to `handler`. Then lets them end within the grace period, cuts the
/// rest by dropping their futures, and returns when none is left.
pub async fn accept<H, F>(listener: TcpListener, bounds: Bounds, stop: CancellationToken, handler: H)
where
    H: Fn(Accepted) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Places(Arc::new(Semaphore::new(bounds.connections)));
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    while let Some((place, stream, peer)) = next_connection(&listener, &places, bounds.when_full, &stop).await
    {
        prepare(&stream, peer, bounds.keepalive);
        let connection = handler(Accepted { stream, peer, places: places.clone(), ending: stop.clone() });
        let cut = cut.clone();
        tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection => {}
            }
        });
    }
    drop(listener);
    tasks.close();
    if timeout(bounds.grace, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "grace period over: cutting what is still in flight");
        cut.cancel();
        tasks.wait().await;
    }
}

/// The next connection that has a place; none when the listener stops.
async fn next_connection(
    listener: &TcpListener,
    places: &Places,
    when_full: WhenFull,
    stop: &CancellationToken,
) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let accepting = async {
        loop {
            let held = match when_full {
                WhenFull::Wait => Some(Arc::clone(&places.0).acquire_owned().await.ok()?),
                WhenFull::Close => None,
            };
            let (stream, peer) = accept_one(listener).await;
            if let Some(place) = held.or_else(|| Arc::clone(&places.0).try_acquire_owned().ok()) {
                return Some((place, stream, peer));
            }
            tracing::warn!(%peer, "too many connections; one was closed");
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        connection = accepting => connection,
    }
}

async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Sets the socket's options. A failure means that the client is gone already, which the handler will find.
fn prepare(stream: &TcpStream, peer: SocketAddr, keepalive: Option<Keepalive>) {
    let nodelay = stream.set_nodelay(true);
    let kept = keepalive.map_or(Ok(()), |keepalive| keepalive.apply(stream));
    if let Err(error) = nodelay.and(kept) {
        tracing::debug!(%peer, %error, "cannot set the options of a connection");
    }
}
