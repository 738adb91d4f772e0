//! Calls a runtime pod: one TLS connection to the pod's address, verified by the pod's name.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode, header::CONTENT_TYPE};
use hyper_util::rt::TokioIo;
use roost_protocol::{names::runtime_tls_name, problem::Problem, status::RuntimeStatus};
use roost_store::step::stepped;
use roost_transport::dial::dial;
use rustls::ClientConfig;
use serde::Serialize;

use crate::pods::PodAddress;

/// Longest time until the TLS connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A call to a runtime pod failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent: the pod does not listen (yet, or any more), or is not who it should be.
    #[error("pod {pod} cannot be reached at {address}: {reason}")]
    Unreachable {
        /// The pod.
        pod: String,
        /// Its address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The connection broke or the answer made no sense; the pod may have acted.
    #[error("pod {pod} gave no usable answer: {reason}")]
    NoAnswer {
        /// The pod.
        pod: String,
        /// Why.
        reason: String,
    },
    /// The pod answered with a problem.
    #[error("{0}")]
    Problem(Box<Problem>),
}

/// Sends `body` to `path` of the pod and reads its status.
pub async fn call<B: Serialize + Sync>(
    tls: &Arc<ClientConfig>,
    pod: &PodAddress,
    path: &str,
    body: &B,
    timeout: Duration,
) -> Result<RuntimeStatus, CallError> {
    let no_answer = |reason: String| CallError::NoAnswer { pod: pod.name.clone(), reason };
    let body = serde_json::to_vec(body).map_err(|error| no_answer(error.to_string()))?;
    let (address, name) = ((pod.address.as_str(), pod.port), runtime_tls_name(&pod.name));
    let stream = dial(address, &name, tls, CONNECT_TIMEOUT, None)
        .await
        .map_err(|error| unreachable(pod, error.to_string()))?;
    let exchange = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| no_answer(error.to_string()))?;
        let connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to a runtime pod ended");
            }
        }));
        let request = Request::post(path)
            .header("host", name)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| no_answer(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(|error| no_answer(error.to_string()))?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| no_answer(error.to_string()))?
            .to_bytes();
        drop(connection);
        read_answer(pod, status, &bytes)
    };
    let exchange = tokio::time::timeout(timeout, exchange);
    match stepped("call pod", format!("{} {path}", pod.name), exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(no_answer(format!("none within {timeout:?}"))),
    }
}

fn read_answer(pod: &PodAddress, status: StatusCode, bytes: &[u8]) -> Result<RuntimeStatus, CallError> {
    let reason = |error: serde_json::Error| CallError::NoAnswer {
        pod: pod.name.clone(),
        reason: format!("HTTP status {status}: {error}"),
    };
    if status.is_success() {
        return serde_json::from_slice(bytes).map_err(reason);
    }
    let problem: Problem = serde_json::from_slice(bytes).map_err(reason)?;
    Err(CallError::Problem(Box::new(problem)))
}

fn unreachable(pod: &PodAddress, reason: String) -> CallError {
    CallError::Unreachable { pod: pod.name.clone(), address: format!("{}:{}", pod.address, pod.port), reason }
}
