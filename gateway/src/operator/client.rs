//! Asking an operator replica to wake a branch.

use super::replicas::{EndpointsReceiver, preference};
use crate::{
    keys::{Keys, KeysReceiver},
    reach::{CONNECT_TIMEOUT, DialError, Wake, Waker, dial, out_of_time},
};
use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use roost_protocol::{
    PROTOCOL_VERSION, is_compatible,
    names::{OPERATOR_TLS_NAME, paths},
    problem::{ErrorCode, Problem},
    wake::{Route, WakeRequest},
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt as _,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Longest ServiceAccount token that is read.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;
/// Time given to the network besides the patience that the operator is told.
const NETWORK_ALLOWANCE: Duration = Duration::from_secs(2);
/// Pause before all replicas are tried again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Most bytes that a connection reads ahead.
const READ_AHEAD_BYTES: usize = 128 * 1024;

/// The operator's replicas, as a server of wakes.
pub struct Operator {
    endpoints: EndpointsReceiver,
    keys: KeysReceiver,
    token_file: PathBuf,
}

/// Reason why a replica gave no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the gateway's token {} cannot be read: {why}", file.display())]
    Token { file: PathBuf, why: String },
    #[error("{0}")]
    Connect(#[from] DialError),
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

impl Operator {
    /// Asks the replicas that `endpoints` names.
    pub const fn new(endpoints: EndpointsReceiver, keys: KeysReceiver, token_file: PathBuf) -> Self {
        Self { endpoints, keys, token_file }
    }

    /// Asks until a replica answers or the deadline has come. Asking twice is harmless: the pod's name is the claim.
    async fn ask_until(&self, wake: &Wake, deadline: Instant) -> Result<Route, Problem> {
        let mut obstacle = "no operator replica is ready".to_owned();
        match timeout_at(deadline, self.ask_all(wake, deadline, &mut obstacle)).await {
            Ok(answer) => answer,
            Err(_) => Err(out_of_time(&wake.key, &obstacle)),
        }
    }

    /// Asks one replica after the other, again and again, noting what went wrong.
    async fn ask_all(&self, wake: &Wake, deadline: Instant, obstacle: &mut String) -> Result<Route, Problem> {
        let shutting_down = |_| Problem::new(ErrorCode::Internal, "the gateway is shutting down");
        let (mut endpoints, mut keys) = (self.endpoints.clone(), self.keys.clone());
        let tenant = format!("{}/{}", wake.key.namespace, wake.key.tenant);
        let mut pause = FIRST_PAUSE;
        loop {
            let current = keys.wait_for(Option::is_some).await.map_err(shutting_down)?.clone();
            let known = endpoints.wait_for(|known| !known.is_empty()).await.map_err(shutting_down)?.clone();
            let Some(current) = current else { continue };
            for endpoint in preference(&known, &tenant) {
                match self.ask(endpoint, &current, wake, deadline).await {
                    Ok(answer) => return answer,
                    Err(error) => {
                        tracing::warn!(%endpoint, %error, branch = %wake.key, "an operator replica gave no answer");
                        *obstacle = format!("operator replica {endpoint}: {error}");
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask(
        &self,
        endpoint: SocketAddr,
        keys: &Keys,
        wake: &Wake,
        deadline: Instant,
    ) -> Result<Result<Route, Problem>, AskError> {
        let token = read_token(&self.token_file).await?;
        let stream = dial(endpoint, OPERATOR_TLS_NAME, &keys.tls, CONNECT_TIMEOUT).await?;
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(READ_AHEAD_BYTES).handshake(TokioIo::new(stream)).await?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let patience = deadline.saturating_duration_since(Instant::now()).saturating_sub(NETWORK_ALLOWANCE);
        let body = serde_json::to_vec(&WakeRequest {
            version: PROTOCOL_VERSION,
            namespace: wake.key.namespace.clone(),
            tenant: wake.key.tenant.clone(),
            branch: wake.key.branch.clone(),
            not_pod_uid: wake.not_pod_uid.clone(),
            only_if_running: wake.only_if_running,
            patience,
        })
        .map_err(|error| AskError::Unreadable(error.to_string()))?;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(paths::WAKE);
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static(OPERATOR_TLS_NAME));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::AUTHORIZATION, token);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| AskError::Unreadable(error.to_string()))?.to_bytes();
        read_answer(head.status, &body).map_err(AskError::Unreadable)
    }
}

impl Waker for Operator {
    fn wake<'a>(&'a self, wake: &'a Wake, deadline: Instant) -> BoxFuture<'a, Result<Route, Problem>> {
        self.ask_until(wake, deadline).boxed()
    }
}

/// The gateway's own token, read anew because the kubelet renews it.
async fn read_token(file: &Path) -> Result<HeaderValue, AskError> {
    let fault = |why: String| AskError::Token { file: file.to_owned(), why };
    let mut text = Vec::new();
    let opened = tokio::fs::File::open(file).await.map_err(|error| fault(error.to_string()))?;
    opened.take(MAX_TOKEN_BYTES).read_to_end(&mut text).await.map_err(|error| fault(error.to_string()))?;
    let mut value = HeaderValue::try_from([b"Bearer ", text.trim_ascii()].concat())
        .map_err(|_| fault("it holds no token".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A route or a problem of the tenant is an answer; anything else is none. What the operator has against this gateway is no
/// fault of its client's.
fn read_answer(status: StatusCode, body: &[u8]) -> Result<Result<Route, Problem>, String> {
    if !status.is_success() {
        let problem: Problem =
            serde_json::from_slice(body).map_err(|_| format!("status {status} without a problem"))?;
        return match problem.code {
            ErrorCode::Unauthenticated | ErrorCode::Forbidden | ErrorCode::BadRequest => {
                Err(format!("it refused this gateway: {}", problem.detail))
            }
            _ => Ok(Err(problem)),
        };
    }
    let route: Route = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if is_compatible(route.version) {
        Ok(Ok(route))
    } else {
        Err(format!("protocol version {} is too far from {PROTOCOL_VERSION}", route.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_are_read() {
        let route = |version: u16| {
            json!({"version": version, "pod": "rt-1", "podUid": "u", "address": "10.0.0.1", "port": 8443,
                   "tenantUid": "t", "statementTimeout": 1000})
            .to_string()
        };
        let problem = |code| serde_json::to_string(&Problem::new(code, "no")).unwrap();
        for (status, body, expected) in [
            (200, route(PROTOCOL_VERSION), Some(None)),
            (200, route(PROTOCOL_VERSION + 1), Some(None)),
            (200, route(PROTOCOL_VERSION + 2), None),
            (200, "{}".into(), None),
            (403, problem(ErrorCode::Suspended), Some(Some(ErrorCode::Suspended))),
            (401, problem(ErrorCode::Unauthenticated), None),
            (400, problem(ErrorCode::BadRequest), None),
            (502, "bad gateway".into(), None),
        ] {
            let answer = read_answer(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!(answer.ok().map(|answer| answer.err().map(|p| p.code)), expected, "{status} {body}");
        }
    }

    #[tokio::test]
    async fn the_token_is_read_and_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "sesame\n").unwrap();
        let value = read_token(file.path()).await.unwrap();
        assert_eq!(value.as_bytes(), b"Bearer sesame");
        assert!(!format!("{value:?}").contains("sesame"));
        assert!(read_token(Path::new("/nonexistent/token")).await.is_err());
    }
}
