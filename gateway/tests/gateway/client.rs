//! A client of the gateway: one connection a request.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use roost_protocol::problem::{ErrorCode, Problem};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// A request to be sent.
pub struct Call {
    request: http::request::Builder,
    body: Bytes,
}

impl Call {
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            request: Request::builder().method(method).uri(path).header("host", "gateway"),
            body: Bytes::new(),
        }
    }

    pub fn query(sql: &str) -> Self {
        Self::new(Method::POST, "/v1/namespaces/shop/tenants/acme/query").body(format!("{{\"sql\":{sql:?}}}"))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it over a new connection and returns when the answer begins.
    pub async fn begin(self, gateway: SocketAddr) -> Begun {
        let stream = TcpStream::connect(gateway).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = connection.await;
        }));
        let response = sender.send_request(self.request.body(Full::new(self.body)).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        Begun { status: head.status, headers: head.headers, body, _connection: connection }
    }

    /// Sends it and reads the whole answer.
    pub async fn send(self, gateway: SocketAddr) -> Answered {
        let begun = self.begin(gateway).await;
        let body = begun.body.collect().await.expect("a whole body").to_bytes();
        Answered { status: begun.status, headers: begun.headers, body }
    }
}

/// An answer that has begun; dropped, the client leaves.
pub struct Begun {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

/// A whole answer.
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answered {
    pub fn problem(&self) -> Problem {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status(), self.status.as_u16());
        problem
    }

    /// The problem's code; none for success.
    pub fn code(&self) -> Option<ErrorCode> {
        (!self.status.is_success()).then(|| self.problem().code)
    }
}
