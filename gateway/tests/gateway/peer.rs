//! Scripted servers with real TLS: operators and runtimes.

use crate::harness::eventually;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};
use roost_protocol::problem::Problem;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::TcpListener, sync::Notify};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

pub type PeerBody = UnsyncBoxBody<Bytes, io::Error>;
/// An answer; an error breaks the connection without one.
pub type Answer = Result<Response<PeerBody>, io::Error>;
/// A boxed future, as scripts return it.
pub type BoxFuture<T> = futures::future::BoxFuture<'static, T>;

/// The internal CA.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Ca {
    pub fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub fn server_config(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }
}

/// A request as a peer saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A scripted server.
pub struct Peer {
    pub address: SocketAddr,
    log: Arc<Log>,
    _server: AbortOnDropHandle<()>,
}

/// Requests and connections that a peer has had.
#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    /// Connections that anybody began, with TLS or without.
    accepted: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    hang_up: Notify,
}

impl Peer {
    /// Serves under `name`; `script` is given each request and how many came before it.
    pub async fn start(
        ca: &Ca,
        name: &str,
        script: impl Fn(Seen, usize) -> BoxFuture<Answer> + Send + Sync + 'static,
    ) -> Self {
        let acceptor = TlsAcceptor::from(ca.server_config(name));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::<Log>::default();
        let server = serve(listener, acceptor, Arc::new(script), Arc::clone(&log));
        Self { address, log, _server: AbortOnDropHandle::new(tokio::spawn(server)) }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().unwrap().clone()
    }

    /// Number of times that somebody began to connect.
    pub fn accepted(&self) -> usize {
        self.log.accepted.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// Number of open connections.
    pub fn open(&self) -> usize {
        self.log.open.load(Ordering::SeqCst)
    }

    /// Closes all connections, as a pod that leaves; answers under way end first.
    pub async fn hang_up(&self) {
        self.log.hang_up.notify_waiters();
        eventually("all connections are closed", || self.open() == 0).await;
    }
}

async fn serve<F>(listener: TcpListener, acceptor: TlsAcceptor, script: Arc<F>, log: Arc<Log>)
where
    F: Fn(Seen, usize) -> BoxFuture<Answer> + Send + Sync + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        log.accepted.fetch_add(1, Ordering::SeqCst);
        let (acceptor, script, log) = (acceptor.clone(), Arc::clone(&script), Arc::clone(&log));
        tasks.spawn(async move {
            let hang_up = log.hang_up.notified();
            let Ok(stream) = acceptor.accept(stream).await else { return };
            log.connections.fetch_add(1, Ordering::SeqCst);
            log.open.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(|request: Request<Incoming>| {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
                    let request =
                        Seen { method: head.method, path: head.uri.to_string(), headers: head.headers, body };
                    let before = {
                        let mut seen = log.seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    script(request, before).await
                }
            });
            let mut connection =
                std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => {}
                () = hang_up => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            log.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// An answer that is there at once.
pub fn answer(status: u16, media_type: &str, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    Ok(Response::builder().status(status).header("content-type", media_type).body(body).unwrap())
}

/// A problem.
pub fn problem(problem: &Problem) -> Answer {
    answer(problem.status(), "application/problem+json", serde_json::to_vec(problem).unwrap())
}

/// A broken connection.
pub fn broken() -> Answer {
    Err(io::Error::other("the script breaks the connection"))
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
