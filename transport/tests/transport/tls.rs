//! Servers over TLS: handshakes that do not come, and certificates that change.

use crate::support::{A_MOMENT, PATIENCE, ROOMY, Running, ask, rest};
use axum::{Router, routing::get};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use roost_transport::{
    accept::Bounds,
    dial::{DialError, dial},
    http::HttpServer,
    tls::{Certificate, HTTP_1_1, ServerTls, client_config},
};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const NAME: &str = "gateway.example";

fn made() -> (String, String) {
    let CertifiedKey::<KeyPair> { cert, signing_key } =
        generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

async fn serving(certificate: &Arc<Certificate>, handshake_timeout: Duration, bounds: Bounds) -> Running {
    let tls = ServerTls::new(certificate, &[HTTP_1_1], handshake_timeout).unwrap();
    let server = HttpServer { tls: Some(tls), head_timeout: PATIENCE };
    let router = Router::new().route("/", get(|| async { "done" }));
    Running::start(|listener, stop| server.serve_router(listener, bounds, router, stop)).await
}

async fn connect(server: &Running, trusted: &str) -> Result<TlsStream<TcpStream>, DialError> {
    let tls = client_config(trusted.as_bytes(), &[HTTP_1_1]).unwrap();
    dial(server.address, NAME, &tls, PATIENCE, None).await
}

#[tokio::test]
async fn a_handshake_that_does_not_come_frees_its_place() {
    let (chain, key) = made();
    let certificate = Certificate::from_pem(&chain, &key).unwrap();
    let server = serving(&certificate, A_MOMENT, Bounds { connections: 1, ..ROOMY }).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    let mut next = connect(&server, &chain).await.unwrap();
    assert!(ask(&mut next, "/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_from_the_next_handshake_on() {
    let ((old, old_key), (new, new_key)) = (made(), made());
    let certificate = Certificate::from_pem(&old, &old_key).unwrap();
    let server = serving(&certificate, PATIENCE, ROOMY).await;
    let mut before = connect(&server, &old).await.unwrap();
    assert!(certificate.replace("nonsense", &new_key).is_err());
    assert!(connect(&server, &old).await.is_ok());
    assert!(certificate.replace(&new, &new_key).unwrap());
    assert!(matches!(connect(&server, &old).await, Err(DialError::Io(_))));
    let mut after = connect(&server, &new).await.unwrap();
    for stream in [&mut before, &mut after] {
        assert!(ask(stream, "/").await.starts_with("HTTP/1.1 200"));
    }
}
