//! Clients and servers that are easily made.

use roost_transport::accept::{Bounds, WhenFull};
use std::{future::Future, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Longest time that anything in a test may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Time that a test waits for what must not happen.
pub const A_MOMENT: Duration = Duration::from_millis(100);

/// Bounds that no test reaches.
pub const ROOMY: Bounds =
    Bounds { connections: 100, when_full: WhenFull::Wait, keepalive: None, grace: PATIENCE };

/// A server in a task.
pub struct Running {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub serving: JoinHandle<()>,
}

impl Running {
    /// Starts what serves a listener until a token is cancelled.
    pub async fn start<F>(serve: impl FnOnce(TcpListener, CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, stop.clone()));
        Self { address, stop, serving }
    }

    /// Waits for the end of the server.
    pub async fn ended(&mut self) {
        timeout(PATIENCE, &mut self.serving).await.expect("the server ends").unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// All that comes until the other side closes; a reset is an end like any other.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read)).await.expect("the connection is closed");
    String::from_utf8(read).unwrap()
}

/// Sends a request and reads its answer, whose body is "done".
pub async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    send(stream, path).await;
    answer(stream).await
}

pub async fn send(stream: &mut (impl AsyncWrite + Unpin), path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes()).await.unwrap();
}

pub async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"done") {
        let count = timeout(PATIENCE, stream.read_buf(&mut read)).await.expect("an answer in time").unwrap();
        assert!(count > 0, "the connection ended after {:?}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}
