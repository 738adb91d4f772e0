//! The port of probes and Prometheus.

use crate::support::{Running, rest};
use roost_transport::health::{Health, serve};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// A process that may be ready; one that is has metrics.
#[derive(Default)]
struct Process(AtomicBool);

impl Health for Process {
    fn obstacle(&self) -> Option<&'static str> {
        (!self.0.load(Ordering::SeqCst)).then_some("waiting\n")
    }

    fn metrics(&self) -> Result<String, fmt::Error> {
        if self.0.load(Ordering::SeqCst) { Ok("ups_total 1\n# EOF\n".into()) } else { Err(fmt::Error) }
    }
}

#[tokio::test]
async fn probes_and_metrics_are_answered() {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const TEXT: &str = "text/plain; charset=utf-8";
    let process = Arc::<Process>::default();
    let serving = Arc::clone(&process);
    let mut server = Running::start(|listener, stop| serve(listener, serving, stop)).await;
    for (ready, request, status, media_type, body) in [
        (false, "GET /healthz", 200, TEXT, "ok\n"),
        (false, "GET /readyz", 503, TEXT, "waiting\n"),
        (false, "GET /metrics", 500, TEXT, "metrics cannot be written\n"),
        (true, "GET /healthz", 200, TEXT, "ok\n"),
        (true, "GET /readyz", 200, TEXT, "ok\n"),
        (true, "GET /metrics", 200, OPENMETRICS, "ups_total 1\n# EOF\n"),
        (true, "HEAD /readyz", 200, TEXT, ""),
        (true, "GET /", 404, TEXT, "not found\n"),
        (true, "POST /healthz", 405, TEXT, "only GET and HEAD\n"),
    ] {
        process.0.store(ready, Ordering::SeqCst);
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(answer.contains(&format!("content-type: {media_type}\r\n")), "{request}: {answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{request}: {answer}");
    }
    server.stop.cancel();
    server.ended().await;
}
