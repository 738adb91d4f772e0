//! Stands between Roost and the S3 server, and breaks what passes.

use crate::{bucket::Bucket, cluster::Roost};
use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures::stream;
use serde_json::{Value, json};
use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Largest body that passes, in bytes: more than a pack has.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// Fault that a request meets, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It passes.
    None,
    /// It passes, that much later.
    Slow(Duration),
    /// It is answered with this status, and does not pass.
    Status(u16),
    /// It passes, and the connection breaks in the middle of the answer.
    CutAnswer,
    /// It passes, and the connection breaks before the answer: nobody knows what became of it.
    LoseAnswer,
    /// The connection breaks, and it does not pass.
    Refuse,
    /// It passes, and the answer is dated that much later.
    DateLater(Duration),
}

/// The proxy. It ends when it is dropped.
pub struct S3Proxy {
    /// Endpoint for a class, as this machine and pods reach it.
    pub endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    target: String,
    client: reqwest::Client,
    plan: Mutex<Plan>,
}

#[derive(Clone, Copy)]
struct Plan {
    fault: Fault,
    /// About every so many requests one is hit.
    one_in: u64,
    requests: u64,
}

impl S3Proxy {
    /// Starts it in front of the bucket behind the test classes, where pods reach it.
    pub async fn start(roost: &Roost) -> Result<Self> {
        Self::listen(&roost.bucket, Ipv4Addr::UNSPECIFIED, roost.address_here()?).await
    }

    /// Starts it in front of a bucket, for processes of this machine.
    pub async fn start_local(bucket: &Bucket) -> Result<Self> {
        Self::listen(bucket, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST.into()).await
    }

    async fn listen(bucket: &Bucket, on: Ipv4Addr, reached_as: IpAddr) -> Result<Self> {
        // Whoever is first in this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = reqwest::Certificate::from_pem(bucket.ca_pem.as_bytes())?;
        let shared = Arc::new(Shared {
            target: bucket.node_endpoint.clone(),
            client: reqwest::Client::builder().tls_certs_only([certificate]).build()?,
            plan: Mutex::new(Plan { fault: Fault::None, one_in: 1, requests: 0 }),
        });
        let listener = TcpListener::bind((on, 0)).await?;
        let endpoint = format!("http://{reached_as}:{}", listener.local_addr()?.port());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the S3 proxy ended: {error}");
            }
        });
        Ok(Self { endpoint, shared, server })
    }

    /// Lets a class reach its bucket through this proxy.
    pub fn through(&self) -> impl FnOnce(&mut Value) + use<> {
        let endpoint = self.endpoint.clone();
        move |spec| {
            spec["storage"]["endpoint"] = json!(endpoint);
            spec["storage"].as_object_mut().map(|storage| storage.remove("caSecretRef"));
        }
    }

    /// From now on about one in so many requests meets this fault.
    pub fn set(&self, fault: Fault, one_in: u64) {
        let mut plan = self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *plan = Plan { fault, one_in, requests: 0 };
    }

    /// Requests since the last change.
    pub fn requests(&self) -> u64 {
        self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner).requests
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn next(&self) -> Fault {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.requests += 1;
        // Without a rhythm: a client that reads after each failed write would have all its writes fail.
        let mut hasher = DefaultHasher::new();
        plan.requests.hash(&mut hasher);
        if hasher.finish().is_multiple_of(plan.one_in) { plan.fault } else { Fault::None }
    }

    async fn forward(&self, request: Request) -> Result<(StatusCode, reqwest::header::HeaderMap, Bytes)> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        // The signature covers the host that the client named.
        let answer = self
            .client
            .request(head.method, format!("{}{path}", self.target))
            .headers(head.headers)
            .body(to_bytes(body, MAX_BODY).await?)
            .send()
            .await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.bytes().await?))
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let fault = shared.next();
    match fault {
        Fault::Refuse => return broken(None),
        Fault::Status(status) => return refused(status),
        Fault::Slow(by) => tokio::time::sleep(by).await,
        Fault::None | Fault::CutAnswer | Fault::LoseAnswer | Fault::DateLater(_) => {}
    }
    let (status, mut headers, body) = match shared.forward(request).await {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("the S3 server behind the proxy: {error:#}");
            return broken(None);
        }
    };
    if let Fault::DateLater(by) = fault {
        let date = (jiff::Timestamp::now() + by).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        headers.insert(header::DATE, HeaderValue::try_from(date).unwrap_or(HeaderValue::from_static("")));
    }
    let body = match fault {
        Fault::LoseAnswer => return broken(None),
        Fault::CutAnswer => return broken(Some((status, headers, body))),
        _ => Body::from(body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn refused(status: u16) -> Response {
    let code = if status == 429 { "TooManyRequests" } else { "SlowDown" };
    let text =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>invented</Message></Error>");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    response
}

/// An answer whose body breaks off in the middle, and with it the connection.
fn broken(answer: Option<(StatusCode, reqwest::header::HeaderMap, Bytes)>) -> Response {
    let half = answer.as_ref().map(|(_, _, body)| body.slice(..body.len() / 2)).unwrap_or_default();
    let parts = [Ok(half), Err(std::io::Error::other("invented"))];
    let mut response = Response::new(Body::from_stream(stream::iter(parts)));
    if let Some((status, headers, _)) = answer {
        *response.status_mut() = status;
        *response.headers_mut() = headers;
    }
    response
}
