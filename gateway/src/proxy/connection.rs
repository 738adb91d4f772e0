//! One TLS connection to another of Roost's processes.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// Longest time until a connection is there, TLS and all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Most bytes that a connection reads ahead of whoever takes its answer.
const READ_AHEAD_BYTES: usize = 128 * 1024;

/// A connection; dropping it closes it, whatever goes on on it.
#[derive(Debug)]
pub struct Connection {
    /// Sends one request at a time.
    pub sender: http1::SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
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
    #[error("no connection within {CONNECT_TIMEOUT:?}")]
    Timeout,
    /// The name to verify is none.
    #[error("{0} is no name that a certificate could carry")]
    BadName(String),
}

/// Connects and verifies that the other side is `name`.
pub async fn connect(
    address: SocketAddr,
    name: &str,
    tls: &Arc<ClientConfig>,
) -> Result<Connection, ConnectError> {
    let name = ServerName::try_from(name.to_owned()).map_err(|_| ConnectError::BadName(name.to_owned()))?;
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        let (sender, driver) =
            http1::Builder::new().max_buf_size(READ_AHEAD_BYTES).handshake(TokioIo::new(stream)).await?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%address, %error, "connection ended");
            }
        }));
        Ok(Connection { sender, _driver: driver })
    };
    timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(ConnectError::Timeout))
}
