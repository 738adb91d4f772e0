//! Acceptance of connections: how many there are, and what handlers get.

use crate::support::{A_MOMENT, PATIENCE, ROOMY, Running, rest};
use roost_transport::{
    accept::{Accepted, Bounds, WhenFull, accept},
    keepalive::Keepalive,
};
use socket2::SockRef;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

/// Sends back what it is sent.
async fn echo(accepted: Accepted) {
    let (mut reader, mut writer) = accepted.stream.into_split();
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}

async fn echoing(when_full: WhenFull) -> Running {
    let bounds = Bounds { connections: 1, when_full, ..ROOMY };
    Running::start(|listener, stop| accept(listener, bounds, stop, echo)).await
}

async fn echoes(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    stream.write_all(b"x").await.unwrap();
    timeout(PATIENCE, stream.read(&mut byte)).await.unwrap().unwrap() == 1
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_a_place() {
    let server = echoing(WhenFull::Wait).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    assert!(echoes(&mut first).await);
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert!(timeout(A_MOMENT, echoes(&mut second)).await.is_err(), "the second connection is served");
    drop(first);
    assert!(echoes(&mut second).await);
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_where_others_serve_too() {
    let server = echoing(WhenFull::Close).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    assert!(echoes(&mut first).await);
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(rest(&mut second).await, "");
    assert!(echoes(&mut first).await);
}

#[tokio::test]
async fn a_handler_that_panics_gives_its_place_back() {
    let bounds = Bounds { connections: 1, ..ROOMY };
    let panicking = |mut accepted: Accepted| async move {
        let byte = accepted.stream.read_u8().await.unwrap_or_default();
        assert_ne!(byte, b'!', "told to panic");
        echo(accepted).await;
    };
    let server = Running::start(|listener, stop| accept(listener, bounds, stop, panicking)).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"!").await.unwrap();
    assert_eq!(rest(&mut first).await, "");
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(b"?").await.unwrap();
    assert!(echoes(&mut second).await);
}

#[tokio::test]
async fn handlers_know_their_connection_and_how_full_it_is() {
    let keepalive = Keepalive { after: Duration::from_secs(5), interval: Duration::from_secs(2), probes: 3 };
    let (tell, mut told) = mpsc::unbounded_channel();
    for (connections, keepalive) in [(1, None), (3, Some(keepalive))] {
        let bounds = Bounds { connections, keepalive, ..ROOMY };
        let tell = tell.clone();
        let handler = move |accepted: Accepted| {
            let tell = tell.clone();
            async move {
                let kept = SockRef::from(&accepted.stream).keepalive().unwrap();
                let full = accepted.places.are_taken();
                tell.send((accepted.peer, accepted.stream.nodelay().unwrap(), kept, full)).unwrap();
                accepted.ending.cancelled().await;
            }
        };
        let mut server = Running::start(|listener, stop| accept(listener, bounds, stop, handler)).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        let expected = (stream.local_addr().unwrap(), true, keepalive.is_some(), connections == 1);
        assert_eq!(timeout(PATIENCE, told.recv()).await.unwrap(), Some(expected));
        server.stop.cancel();
        server.ended().await;
    }
}
