//! A TLS connection to another process.

use crate::keepalive::Keepalive;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{TcpStream, ToSocketAddrs},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// A verified connection.
pub type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// Why there is no connection.
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
}

/// Connects within `patience`, TCP and TLS together, and verifies that the other side is `name`.
pub async fn dial(
    address: impl ToSocketAddrs,
    name: &str,
    tls: &Arc<ClientConfig>,
    patience: Duration,
    keepalive: Option<Keepalive>,
) -> Result<TlsStream, DialError> {
    let name = ServerName::try_from(name.to_owned()).map_err(|_| DialError::BadName(name.to_owned()))?;
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if let Some(keepalive) = keepalive {
            keepalive.apply(&stream)?;
        }
        Ok(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?)
    };
    timeout(patience, connecting).await.unwrap_or(Err(DialError::Timeout(patience)))
}
