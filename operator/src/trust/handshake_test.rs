//! The authority, TLS and names together: a real handshake in memory.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use roost_transport::tls::{Certificate, HTTP_1_1, ServerTls, client_config};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::{Authority, authority::new_authority};

async fn handshake(trusted: &str, issuer: &Authority, own_name: &str, expected: &str) -> Result<(), String> {
    let identity = issuer.issue(own_name, Timestamp::now()).unwrap();
    let (client, server) = tokio::io::duplex(16 * 1024);
    let certificate = Certificate::from_pem(&identity.certificate, &identity.key).unwrap();
    let tls = ServerTls::new(&certificate, &[HTTP_1_1], Duration::from_secs(30)).unwrap();
    let connector = TlsConnector::from(client_config(trusted.as_bytes(), &[HTTP_1_1]).unwrap());
    let name = ServerName::try_from(expected.to_owned()).unwrap();
    let (client, _server) = tokio::join!(connector.connect(name, client), tls.handshake(server));
    client.map(drop).map_err(|error| error.to_string())
}

fn authority() -> Authority {
    let made = new_authority(Timestamp::now()).unwrap();
    Authority::from_pem(&made.certificate, &made.key).unwrap()
}

#[tokio::test]
async fn only_the_right_name_of_the_right_authority_is_accepted() {
    let (ours, other) = (Arc::new(authority()), authority());
    let name = "rt-1.runtime.roost.internal";
    handshake(ours.certificate(), &ours, name, name).await.unwrap();
    let wrong_name =
        handshake(ours.certificate(), &ours, name, "rt-2.runtime.roost.internal").await.unwrap_err();
    assert!(wrong_name.contains("not valid for"), "{wrong_name}");
    let wrong_authority = handshake(other.certificate(), &ours, name, name).await.unwrap_err();
    assert!(wrong_authority.contains("invalid peer certificate"), "{wrong_authority}");
}
