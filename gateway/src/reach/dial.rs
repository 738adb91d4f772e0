//! A TLS connection to another of Roost's processes, verified; what is spoken on it is the caller's matter.

use roost_transport::keepalive::Keepalive;
use rustls::ClientConfig;
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Longest time until a connection is there, TLS and all.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A node that vanished is noticed after eleven seconds.
const KEEPALIVE: Keepalive =
    Keepalive { after: Duration::from_secs(5), interval: Duration::from_secs(2), probes: 3 };

/// A verified connection.
pub type TlsStream = roost_transport::dial::TlsStream;

/// Reason why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody answered, or not as who it should be.
    #[error(transparent)]
    Dial(#[from] roost_transport::dial::DialError),
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
    Ok(roost_transport::dial::dial(address, name, tls, patience, Some(KEEPALIVE)).await?)
}
