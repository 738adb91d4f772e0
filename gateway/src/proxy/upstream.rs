//! One request to one runtime pod, and its answer as it comes.

use super::{
    connection::{CONNECT_TIMEOUT, Connection, connect},
    headers,
    pool::{PodKey, Pool},
    presence::Standing,
    routes::Known,
};
use crate::{auth::Access, clock, keys::Keys, metrics::Metrics, response::BodyError};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use roost_protocol::{
    BranchKey, PROTOCOL_VERSION,
    names::{SESSION_HEADER, runtime_tls_name},
    session::{SESSION_VALIDITY, SessionToken},
    wake::Route,
};
use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;

/// Time given to a runtime to answer, besides the longest time that its class allows a request: 10 s to prove that the
/// branch is its own, as much at the end, 5 s to stop what took too long, and 30 s until what was committed is durable.
/// Who is given up here is told nothing certain, so the runtime has to be the first to give up.
const ANSWER_ALLOWANCE: Duration = Duration::from_secs(75);
/// Longest time until there is a connection to a pod that may have left unseen; the operator knows better soon.
const UNWATCHED_CONNECT_TIMEOUT: Duration = Duration::from_millis(300);

/// A request that can be sent more than once.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Method.
    pub method: Method,
    /// Path, as the client wrote it.
    pub path: Uri,
    /// Headers, already chosen by [`headers::for_runtime`].
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Not a byte of it was sent.
    #[error("{0}")]
    NotSent(String),
    /// It was sent, at least in part, and may have been executed.
    #[error("{0}")]
    Broken(String),
    /// It was sent, and not answered in time. What it did not commit by then is rolled back.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// Sends requests to runtime pods.
#[derive(Clone)]
pub struct Upstream {
    pool: Arc<Pool>,
    metrics: Arc<Metrics>,
}

impl Upstream {
    /// Without any connections.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { pool: Arc::default(), metrics }
    }

    /// The idle connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Sends a request on behalf of the user; returns when the answer begins.
    pub async fn send(
        &self,
        known: &Known,
        keys: &Keys,
        access: &Access,
        branch: &BranchKey,
        outbound: &Outbound,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let route = &known.route;
        let name = runtime_tls_name(&route.pod);
        let request = || build(&name, route, keys, access, branch, outbound);
        let home = PodKey { pod_uid: route.pod_uid.clone(), generation: keys.generation };
        let answer_within = route.statement_timeout.saturating_add(ANSWER_ALLOWANCE);
        loop {
            let pooled = self.pool.take(&home).await;
            let was_pooled = pooled.is_some();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => self.dial(known, &name, keys).await?,
            };
            match timeout(answer_within, connection.sender.try_send_request(request()?)).await {
                Ok(Ok(response)) => {
                    let (mut head, body) = response.into_parts();
                    head.headers = headers::for_client(&head.headers);
                    let body = UpstreamBody::new(body, connection, Arc::clone(&self.pool), home);
                    return Ok(Response::from_parts(head, body));
                }
                // A request that comes back was not sent: the connection had died while it lay in the pool.
                Ok(Err(mut error)) => match (error.take_message(), was_pooled) {
                    (Some(_), true) => {}
                    (Some(_), false) => return Err(SendError::NotSent(error.into_error().to_string())),
                    (None, _) => return Err(SendError::Broken(error.into_error().to_string())),
                },
                Err(_) => return Err(SendError::Late(answer_within)),
            }
        }
    }

    async fn dial(&self, known: &Known, name: &str, keys: &Keys) -> Result<Connection, SendError> {
        let not_sent = |error: &dyn std::fmt::Display| SendError::NotSent(error.to_string());
        let patience = match known.presence.standing() {
            Standing::Gone => return Err(SendError::NotSent("the pod has closed its connections".into())),
            Standing::Unwatched => UNWATCHED_CONNECT_TIMEOUT,
            Standing::Named | Standing::Connected(_) => CONNECT_TIMEOUT,
        };
        let ip: IpAddr = known.route.address.parse().map_err(|error| not_sent(&error))?;
        let address = SocketAddr::new(ip, known.route.port);
        connect(address, name, &keys.tls, patience, Some(&known.presence)).await.map_err(|error| {
            self.metrics.connect_failed();
            not_sent(&error)
        })
    }
}

fn build(
    name: &str,
    route: &Route,
    keys: &Keys,
    access: &Access,
    branch: &BranchKey,
    outbound: &Outbound,
) -> Result<Request<Full<Bytes>>, SendError> {
    let fault = |error: &dyn std::fmt::Display| SendError::NotSent(error.to_string());
    let session = keys
        .session
        .sign(&SessionToken {
            version: PROTOCOL_VERSION,
            tenant_uid: route.tenant_uid.clone(),
            branch: branch.branch.clone(),
            user: access.user.clone(),
            role: access.role,
            not_after: clock::now().plus(SESSION_VALIDITY),
        })
        .map_err(|error| fault(&error))?;
    let mut session = HeaderValue::try_from(session).map_err(|error| fault(&error))?;
    session.set_sensitive(true);
    let mut request = Request::new(Full::new(outbound.body.clone()));
    *request.method_mut() = outbound.method.clone();
    *request.uri_mut() = outbound.path.clone();
    *request.headers_mut() = outbound.headers.clone();
    request.headers_mut().insert(SESSION_HEADER, session);
    let host = HeaderValue::try_from(name).map_err(|error| fault(&error))?;
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

/// An answer's body. At its end the connection goes back to the pool; dropped earlier, it closes the connection, which
/// cancels the query.
pub struct UpstreamBody {
    body: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
    home: PodKey,
}

impl UpstreamBody {
    fn new(body: Incoming, connection: Connection, pool: Arc<Pool>, home: PodKey) -> Self {
        let mut this = Self { body, connection: Some(connection), pool, home };
        if this.body.is_end_stream() {
            this.hand_back();
        }
        this
    }

    fn hand_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put(&self.home, connection);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Err(_)) => self.connection = None,
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            Some(Ok(_)) | None => self.hand_back(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
