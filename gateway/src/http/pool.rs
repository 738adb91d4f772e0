//! HTTP connections to runtime pods: one in use, and those that wait for their next request, or for the pod's end.

use crate::{
    reach::{Destination, End, OpenConnection, TlsStream},
    response::BodyError,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Body of every request to a runtime.
pub type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// Most bytes that a connection reads ahead of whoever takes its answer.
const READ_AHEAD_BYTES: usize = 128 * 1024;
/// Most connections kept for one pod.
const MAX_IDLE_PER_POD: usize = 32;
/// Most connections kept in all.
const MAX_IDLE: usize = 2048;
/// Longest idle time after which a connection is used again. Short, so that the runtime, which closes one that was idle
/// for minutes, does not do so just when a request is written to it.
pub const USED_AGAIN: Duration = Duration::from_secs(10);
/// Longest idle time of the one connection to each pod that is kept after that, since its end tells that the pod leaves;
/// less than the runtime's limit, whose closing a connection would be taken for that.
pub const KEPT_TO_WATCH: Duration = Duration::from_secs(45);
/// Longest time that a connection may take to become ready after its last answer ended.
const READY_WITHIN: Duration = Duration::from_millis(50);

/// A pod, verified under some keys: connections to it are alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodKey {
    /// UID of the pod.
    pub pod_uid: String,
    /// [`crate::keys::Keys::generation`].
    pub generation: u64,
}

impl From<&Destination> for PodKey {
    fn from(destination: &Destination) -> Self {
        Self { pod_uid: destination.route().pod_uid.clone(), generation: destination.generation() }
    }
}

/// A connection; dropping it closes it, whatever goes on on it.
#[derive(Debug)]
pub struct Connection {
    sender: http1::SendRequest<RequestBody>,
    open: Arc<OpenConnection>,
    _driver: AbortOnDropHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.ended(if self.sender.is_closed() { End::Theirs } else { End::Ours });
    }
}

impl Connection {
    /// Speaks HTTP/1.1 on a stream, and tells when the connection ends.
    pub async fn open(stream: TlsStream, open: OpenConnection) -> Result<Self, hyper::Error> {
        let peer = stream.get_ref().0.peer_addr().ok();
        let (sender, driver) =
            http1::Builder::new().max_buf_size(READ_AHEAD_BYTES).handshake(TokioIo::new(stream)).await?;
        let open = Arc::new(open);
        let told = Arc::clone(&open);
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(?peer, %error, "connection ended");
            }
            // Whoever drops the connection says so first and aborts this task.
            told.ended(End::Theirs);
        }));
        Ok(Self { sender, open, _driver: driver })
    }

    /// Sends one request; returns when its answer begins. A request that comes back with the error was not sent.
    pub async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        self.sender.try_send_request(request).await
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// The idle connections.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<HashMap<PodKey, Vec<Idle>>>,
}

impl Pool {
    /// The connection that was used last, if one is usable.
    pub async fn take(&self, key: &PodKey) -> Option<Connection> {
        loop {
            let mut idle = {
                let mut pods = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                pods.get_mut(key)?.pop_if(|last| last.since.elapsed() < USED_AGAIN)?
            };
            if matches!(timeout(READY_WITHIN, idle.connection.sender.ready()).await, Ok(Ok(()))) {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection whose answer has ended; where there is no room, in place of the one that was idle longest.
    pub fn put(&self, key: &PodKey, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut pods = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if pods.values().map(Vec::len).sum::<usize>() >= MAX_IDLE {
            drop_oldest(&mut pods);
        }
        let idle = pods.entry(key.clone()).or_default();
        if idle.len() < MAX_IDLE_PER_POD {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Drops the connections of a pod that is leaving.
    pub fn forget(&self, key: &PodKey) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Drops what has been idle too long; called now and then.
    pub fn sweep(&self) {
        let mut pods = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, idle| {
            idle.retain(|one| !one.connection.sender.is_closed());
            let watched = idle.pop_if(|last| last.since.elapsed() < KEPT_TO_WATCH);
            idle.retain(|one| one.since.elapsed() < USED_AGAIN);
            idle.extend(watched);
            !idle.is_empty()
        });
    }
}

/// Makes room. Each pod's connections are in the order in which they became idle.
fn drop_oldest(pods: &mut HashMap<PodKey, Vec<Idle>>) {
    let oldest = pods.iter().filter_map(|(key, idle)| Some((idle.first()?.since, key)));
    let Some(key) = oldest.min_by_key(|(since, _)| *since).map(|(_, key)| key.clone()) else { return };
    if let Some(idle) = pods.get_mut(&key) {
        idle.remove(0);
        if idle.is_empty() {
            pods.remove(&key);
        }
    }
}

/// An answer's body. At its end the connection goes back to the pool; dropped earlier, it closes the connection, which
/// cancels the query.
pub struct PooledBody {
    body: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
    home: PodKey,
}

impl PooledBody {
    /// The body of an answer that came over this connection, which is at home among those of one pod.
    pub fn new(body: Incoming, connection: Connection, pool: Arc<Pool>, home: PodKey) -> Self {
        let mut this = Self { body, connection: Some(connection), pool, home };
        if this.body.is_end_stream() {
            this.hand_back();
        }
        this
    }

    fn hand_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put(&self.home, connection);
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Err(_)) => self.connection = None,
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            Some(Ok(_)) | None => self.hand_back(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
