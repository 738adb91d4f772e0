//! End of a server: idle connections at once, busy ones after their answer, and all of them after the grace period.

use crate::support::{A_MOMENT, PATIENCE, ROOMY, Running, answer, ask, rest, send};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use roost_transport::{accept::Bounds, http::HttpServer};
use std::{convert::Infallible, sync::Arc};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

/// Serves `/`, and `/slow` once there is a permit.
async fn serving(bounds: Bounds, permits: &Arc<Semaphore>, begun: &Arc<Semaphore>) -> Running {
    let (permits, begun) = (Arc::clone(permits), Arc::clone(begun));
    let service = service_fn(move |request: Request<Incoming>| {
        let (permits, begun) = (Arc::clone(&permits), Arc::clone(&begun));
        async move {
            if request.uri().path() == "/slow" {
                begun.add_permits(1);
                permits.acquire().await.unwrap().forget();
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("done"))))
        }
    });
    let server = HttpServer { tls: None, head_timeout: PATIENCE };
    Running::start(|listener, stop| server.serve(listener, bounds, service, stop)).await
}

#[tokio::test]
async fn idle_connections_end_with_the_server_and_busy_ones_after_their_answer() {
    let (permits, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut server = serving(ROOMY, &permits, &begun).await;
    let mut fresh = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut idle, "/").await.starts_with("HTTP/1.1 200"));
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    send(&mut busy, "/slow").await;
    let _begun = timeout(PATIENCE, begun.acquire()).await.unwrap().unwrap();
    server.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut fresh).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "no new connection is accepted");
    assert!(timeout(A_MOMENT, &mut server.serving).await.is_err(), "the busy one is not waited for");
    permits.add_permits(1);
    assert!(answer(&mut busy).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rest(&mut busy).await, "");
    server.ended().await;
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_cut() {
    let (permits, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut server = serving(Bounds { grace: A_MOMENT, ..ROOMY }, &permits, &begun).await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    send(&mut busy, "/slow").await;
    let _begun = timeout(PATIENCE, begun.acquire()).await.unwrap().unwrap();
    server.stop.cancel();
    server.ended().await;
    assert_eq!(rest(&mut busy).await, "");
}

#[tokio::test]
async fn a_full_server_stops_too() {
    let (permits, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut server = serving(Bounds { connections: 1, ..ROOMY }, &permits, &begun).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&mut idle, "/").await.starts_with("HTTP/1.1 200"));
    server.stop.cancel();
    server.ended().await;
    assert_eq!(rest(&mut idle).await, "");
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let service =
        service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    let server = HttpServer { tls: None, head_timeout: A_MOMENT };
    let server = Running::start(|listener, stop| server.serve(listener, ROOMY, service, stop)).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert!(!rest(&mut silent).await.contains(" 200 "));
}
