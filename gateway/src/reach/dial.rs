//! One TLS connection to another of Roost's processes.

use super::presence::{End, Presence, Witness};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// Longest time until a connection is there, TLS and all.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Silence after which the other side's kernel is asked whether it is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
/// Pause between two such probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// Probes without an answer that end a connection: a node that vanished is noticed after eleven seconds.
const KEEPALIVE_PROBES: u32 = 3;
/// Most bytes that a connection reads ahead of whoever takes its answer.
const READ_AHEAD_BYTES: usize = 128 * 1024;

/// A connection; dropping it closes it, whatever goes on on it.
#[derive(Debug)]
pub struct Connection {
    /// Sends one request at a time.
    pub sender: http1::SendRequest<Full<Bytes>>,
    witness: Option<Arc<Witness>>,
    _driver: AbortOnDropHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(witness) = &self.witness {
            witness.over(if self.sender.is_closed() { End::Theirs } else { End::Ours });
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP or TLS failed; a wrong certificate is among the reasons.
    #[error("cannot connect: {0}")]
    Io(#[from] std::io::Error),
    /// The connection broke at once.
    #[error("cannot connect: {0}")]
    Http(#[from] hyper::Error),
    /// Too slow.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// The name to verify is none.
    #[error("{0} is no name that a certificate could carry")]
    BadName(String),
}

/// Connects within `patience` and verifies that the other side is `name`. The connection's end is told to `presence`.
pub async fn connect(
    address: SocketAddr,
    name: &str,
    tls: &Arc<ClientConfig>,
    patience: Duration,
    presence: Option<&Arc<Presence>>,
) -> Result<Connection, ConnectError> {
    let name = ServerName::try_from(name.to_owned()).map_err(|_| ConnectError::BadName(name.to_owned()))?;
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        let (sender, driver) =
            http1::Builder::new().max_buf_size(READ_AHEAD_BYTES).handshake(TokioIo::new(stream)).await?;
        let witness = presence.map(|presence| Arc::new(presence.connected()));
        let told = witness.clone();
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%address, %error, "connection ended");
            }
            // Whoever drops the connection says so first and aborts this task.
            if let Some(witness) = told {
                witness.over(End::Theirs);
            }
        }));
        Ok(Connection { sender, witness, _driver: driver })
    };
    timeout(patience, connecting).await.unwrap_or(Err(ConnectError::Timeout(patience)))
}

const fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES)
}
