//! A gateway under test with all that it talks to.

use crate::{
    client::{Answered, Call},
    kubernetes::Kubernetes,
    peer::{Answer, BoxFuture, Ca, Peer, Seen, answer},
};
use clap::Parser as _;
use futures::FutureExt as _;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use roost_gateway::{config::Config, http::Gateway, keys::Keys, metrics::Metrics, server::Server, setup};
use roost_protocol::{
    names::{CA_CERT_KEY, OPERATOR_TLS_NAME, SESSION_HEADER, SESSION_SIGNING_KEY, runtime_tls_name},
    session::SessionToken,
    signing::{SigningKey, VerifyingKey},
    wake::{Route, WakeRequest},
};
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Longest time that anything in a test may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that exists before the gateway does.
pub struct Setting {
    pub ca: Ca,
    pub kubernetes: Kubernetes,
    pub keys: Arc<Keys>,
    pub secret: Secret,
    pub verifying: VerifyingKey,
    token_file: NamedTempFile,
}

impl Setting {
    pub fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = Ca::new();
        let signing = SigningKey::generate().unwrap();
        let verifying = SigningKey::from_pkcs8(&signing).unwrap().verifying_key();
        let data = [(CA_CERT_KEY, ca.pem.clone().into_bytes()), (SESSION_SIGNING_KEY, signing)];
        let data = data.into_iter().map(|(key, bytes)| (key.to_owned(), ByteString(bytes))).collect();
        let mut secret = Secret { data: Some(data), ..Secret::default() };
        secret.metadata.name = Some("roost-gateway-keys".into());
        secret.metadata.resource_version = Some("1".into());
        let keys = Arc::new(Keys::read(&secret, 1).unwrap());
        let token_file = NamedTempFile::new().unwrap();
        std::fs::write(token_file.path(), "gateway-token").unwrap();
        let kubernetes = Kubernetes::default();
        kubernetes.token("alice-token", "alice");
        kubernetes.grant("alice", "connect", "tenants/acme");
        Self { ca, kubernetes, keys, secret, verifying, token_file }
    }

    /// An operator whose script answers wakes.
    pub async fn operator(
        &self,
        script: impl Fn(WakeRequest, usize) -> BoxFuture<Answer> + Send + Sync + 'static,
    ) -> Peer {
        Peer::start(&self.ca, OPERATOR_TLS_NAME, move |seen, number| {
            assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/wake"));
            assert_eq!(seen.headers["authorization"], "Bearer gateway-token");
            script(serde_json::from_slice(&seen.body).unwrap(), number)
        })
        .await
    }

    /// An operator that names one runtime after the other, and the last one for ever.
    pub async fn operator_naming(&self, routes: Vec<Route>) -> Peer {
        self.operator(move |_, number| {
            let route = &routes[number.min(routes.len() - 1)];
            let body = serde_json::to_vec(route).unwrap();
            async move { answer(200, "application/json", body) }.boxed()
        })
        .await
    }

    /// A runtime pod.
    pub async fn runtime(
        &self,
        pod: &str,
        script: impl Fn(Seen, usize) -> BoxFuture<Answer> + Send + Sync + 'static,
    ) -> Peer {
        Peer::start(&self.ca, &runtime_tls_name(pod), script).await
    }

    /// A gateway that knows these operator replicas.
    pub async fn gateway(&self, operators: &[SocketAddr], arguments: &[&str]) -> Running {
        let file = self.token_file.path().to_str().unwrap();
        let always = ["roost-gateway", "--namespace", "roost-system", "--operator-token-file", file];
        let config = Config::parse_from(always.iter().chain(arguments));
        let (keys, keys_receiver) = watch::channel(Some(Arc::clone(&self.keys)));
        let (endpoints, endpoints_receiver) = watch::channel(operators.iter().copied().collect());
        let gateway = setup::gateway(
            &config,
            self.kubernetes.client(),
            keys_receiver,
            endpoints_receiver,
            Arc::new(Metrics::default()),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let leaving = CancellationToken::new();
        let server = Server {
            gateway: Arc::clone(&gateway),
            tls: None,
            limits: setup::server_limits(&config),
            leaving: leaving.clone(),
        };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(listener, stop.clone()));
        Running { address, gateway, leaving, stop, serving, _keys: keys, _endpoints: endpoints }
    }

    /// The session token that a runtime was shown, verified.
    pub fn session(&self, seen: &Seen) -> SessionToken {
        self.verifying.verify(seen.headers[SESSION_HEADER].to_str().unwrap()).unwrap()
    }
}

/// A gateway that serves.
pub struct Running {
    pub address: SocketAddr,
    pub gateway: Arc<Gateway>,
    pub leaving: CancellationToken,
    pub stop: CancellationToken,
    pub serving: JoinHandle<()>,
    _keys: watch::Sender<Option<Arc<Keys>>>,
    _endpoints: watch::Sender<BTreeSet<SocketAddr>>,
}

impl Running {
    /// Alice asks.
    pub async fn query(&self) -> Answered {
        self.send(Call::query("SELECT 1").token("alice-token")).await
    }

    pub async fn send(&self, call: Call) -> Answered {
        timeout(PATIENCE, call.send(self.address)).await.expect("an answer in time")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The way to a runtime.
pub fn route(pod: &str, address: SocketAddr) -> Route {
    Route {
        version: 1,
        pod: pod.into(),
        pod_uid: format!("uid-{pod}"),
        address: address.ip().to_string(),
        port: address.port(),
        tenant_uid: "tenant-uid".into(),
        statement_timeout: Duration::from_mins(1),
    }
}

/// Always the same small answer.
pub fn ok(_: Seen, _: usize) -> BoxFuture<Answer> {
    async { answer(200, "application/json", "{\"complete\":true}") }.boxed()
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
