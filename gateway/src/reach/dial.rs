//! A TLS connection to another of Roost's processes, verified; what is spoken on it is the caller's matter.

use rustls::{ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

/// Longest time until a connection is there, TLS and all.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Silence after which the other side's kernel is asked whether it is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
/// Pause between two such probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// Probes without an answer that end a connection: a node that vanished is noticed after eleven seconds.
const KEEPALIVE_PROBES: u32 = 3;

/// A verified connection.
pub type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// Reason why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// TCP or TLS failed; a wrong certificate is among the reasons.
    #[error("cannot connect: {0}")]
    Io(#[from] std::io::Error),
    /// Too slow.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// The name to verify is none.
    #[error("{0} is no name that a certificate could carry")]
    BadName(String),
    /// The address that the operator named is none.
    #[error("{0}")]
    BadAddress(#[from] std::net::AddrParseError),
    /// The pod is known to have left: nobody was called.
    #[error("the pod has closed its connections")]
    Gone,
}

/// Connects within `patience` and verifies that the other side is `name`.
pub async fn dial(
    address: SocketAddr,
    name: &str,
    tls: &Arc<ClientConfig>,
    patience: Duration,
) -> Result<TlsStream, DialError> {
    let name = ServerName::try_from(name.to_owned()).map_err(|_| DialError::BadName(name.to_owned()))?;
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
        Ok(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?)
    };
    timeout(patience, connecting).await.unwrap_or(Err(DialError::Timeout(patience)))
}

const fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES)
}
