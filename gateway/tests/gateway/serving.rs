//! The server towards clients: slow and many clients, TLS, and the end.

use crate::{
    client::Call,
    harness::{PATIENCE, Setting, eventually, ok, route},
    peer::{Answer, BoxFuture, Ca, Seen},
};
use futures::FutureExt as _;
use http::Method;
use roost_gateway::{server::Server, setup::server_limits};
use roost_transport::tls::{CertificateFiles, HTTP_1_1, ServerTls};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// Reads until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut read)).await.expect("the connection is closed");
    closed.map_or_else(|_| String::new(), |_| String::from_utf8(read).unwrap())
}

#[tokio::test]
async fn slow_clients_lose_their_connection() {
    let setting = Setting::new();
    let arguments = ["--header-timeout", "200ms", "--body-timeout", "200ms"];
    let gateway = setting.gateway(&[], &arguments).await;
    // Nothing at all, half a header, and a header without its body.
    let body_missing = "POST /v1/namespaces/shop/tenants/acme/query HTTP/1.1\r\nhost: g\r\n\
                        authorization: Bearer alice-token\r\ncontent-length: 10\r\n\r\n{";
    for (sent, expected) in
        [("", ""), ("POST / HTTP/1.1\r\nhost:", ""), (body_missing, "did not arrive within")]
    {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.contains(expected), "{answer}");
        assert!(!answer.contains(" 200 "), "{answer}");
    }
}

#[tokio::test]
async fn large_headers_are_refused() {
    let setting = Setting::new();
    let gateway = setting.gateway(&[], &[]).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: g\r\nx: {}\r\n\r\n", "x".repeat(200 * 1024));
    // The server may close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    assert!(!rest(&mut stream).await.contains(" 200 "));
    let many = (0..100).fold(Call::new(Method::GET, "/"), |call, n| call.header(&format!("x-{n}"), "1"));
    assert_eq!(gateway.send(many).await.status, 431);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let setting = Setting::new();
    let gateway = setting.gateway(&[], &["--max-connections", "1", "--header-timeout", "5s"]).await;
    let held = TcpStream::connect(gateway.address).await.unwrap();
    let metrics = Arc::clone(&gateway.gateway.metrics);
    eventually("the first is accepted", || metrics.render().unwrap().contains("gateway_connections 1")).await;
    let second = gateway.send(Call::new(Method::GET, "/"));
    let waits = timeout(Duration::from_millis(200), second).await;
    assert!(waits.is_err(), "the second connection is served");
    drop(held);
    assert_eq!(gateway.send(Call::new(Method::GET, "/")).await.status, 404);
}

#[tokio::test]
async fn answers_of_a_full_gateway_end_their_connection() {
    let setting = Setting::new();
    let roomy = setting.gateway(&[], &["--max-connections", "3"]).await;
    let full = setting.gateway(&[], &["--max-connections", "1"]).await;
    for (gateway, ends) in [(&roomy, false), (&full, true)] {
        let answer = gateway.send(Call::new(Method::GET, "/")).await;
        assert_eq!(answer.headers.get("connection").is_some_and(|value| value == "close"), ends);
    }
    let mut stream = TcpStream::connect(full.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: g\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn answers_end_their_connection_before_the_gateway_leaves() {
    let setting = Setting::new();
    let gateway = setting.gateway(&[], &[]).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    gateway.leaving.cancel();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: g\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.contains("\r\nconnection: close\r\n"));
    // Whoever does not know yet that it leaves is still answered.
    assert_eq!(gateway.send(Call::new(Method::GET, "/")).await.status, 404);
}

#[tokio::test]
async fn what_is_in_flight_ends_before_the_server_does() {
    let setting = Setting::new();
    let gate = Arc::new(Semaphore::new(0));
    let opening = Arc::clone(&gate);
    let script = move |seen: Seen, number: usize| -> BoxFuture<Answer> {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            ok(seen, number).await
        }
        .boxed()
    };
    let runtime = setting.runtime("rt-1", script).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let mut gateway = setting.gateway(&[operator.address], &["--shutdown-grace", "20s"]).await;
    let address = gateway.address;
    let idle = TcpStream::connect(address).await.unwrap();
    let (answer, ()) = tokio::join!(gateway.query(), async {
        eventually("the query runs", || runtime.seen().len() == 1).await;
        gateway.stop.cancel();
        let mut refused = false;
        while !refused {
            refused = TcpStream::connect(address).await.is_err();
            tokio::task::yield_now().await;
        }
        opening.add_permits(1);
    });
    assert_eq!(answer.status, 200);
    drop(idle);
    timeout(PATIENCE, &mut gateway.serving).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_cut() {
    let setting = Setting::new();
    let never = |_: Seen, _: usize| -> BoxFuture<Answer> { futures::future::pending().boxed() };
    let runtime = setting.runtime("rt-1", never).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let mut gateway = setting.gateway(&[operator.address], &["--shutdown-grace", "200ms"]).await;
    let request = "POST /v1/namespaces/shop/tenants/acme/query HTTP/1.1\r\nhost: g\r\n\
                   authorization: Bearer alice-token\r\ncontent-length: 2\r\n\r\n{}";
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    eventually("the query runs", || runtime.seen().len() == 1).await;
    gateway.stop.cancel();
    timeout(PATIENCE, &mut gateway.serving).await.expect("the server ends").unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn clients_speak_tls_when_it_is_configured() {
    let setting = Setting::new();
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["gateway.example".into()]).unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let serving = CertificateFiles::load(certificate, key).await.unwrap();
    let plain = setting.gateway(&[], &[]).await;
    let config = <roost_gateway::config::Config as clap::Parser>::parse_from(["g", "--namespace", "n"]);
    let server = Server {
        gateway: Arc::clone(&plain.gateway),
        tls: Some(ServerTls::new(serving.certificate(), &[HTTP_1_1], PATIENCE).unwrap()),
        limits: server_limits(&config),
        leaving: CancellationToken::new(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(listener, stop.clone()));

    let talk = async |roots: rustls::RootCertStore| -> std::io::Result<String> {
        let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = "gateway.example".try_into().unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    assert!(talk(roots).await.unwrap().starts_with("HTTP/1.1 404"));
    let mut others = rustls::RootCertStore::empty();
    let other = rustls::pki_types::pem::PemObject::from_pem_slice(Ca::new().pem.as_bytes()).unwrap();
    others.add(other).unwrap();
    assert!(talk(others).await.is_err());
    stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
}
