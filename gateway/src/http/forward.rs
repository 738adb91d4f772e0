//! The way of a request to a branch's pod and of its answer back: sent over HTTP to the pod that [`Reach`] finds, again
//! as the rules of [`retry`](crate::reach::retry) say.

use super::{
    answer::for_client,
    pool::{Connection, PodKey, Pool, PooledBody, RequestBody, USED_AGAIN},
    queries::Ticket,
    request::ClientBody,
};
use crate::{
    auth::Access,
    metrics::Metrics,
    reach::{
        Destination, Intent, Reach,
        retry::{Failure, Outcome, Retry, Step, Terms, executed_nothing},
    },
    response::{AnswerBody, full},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use roost_protocol::{
    BranchKey,
    names::SESSION_HEADER,
    problem::{PROBLEM_MEDIA_TYPE, Problem},
    routes::Call,
    session::Role,
};
use std::{fmt::Display, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// Largest problem document of a runtime that is read to decide about a retry, in bytes.
const MAX_PROBLEM_BYTES: usize = 64 * 1024;
/// Time given to a runtime to answer, besides the longest time that its class allows a request: 10 s to prove that the
/// branch is its own, as much at the end, 5 s to stop what took too long, and 30 s until what was committed is durable.
/// Who is given up here is told nothing certain, so the runtime has to be the first to give up.
const ANSWER_ALLOWANCE: Duration = Duration::from_secs(75);

/// A request for a runtime.
pub struct Outbound {
    /// Method.
    pub method: Method,
    /// Path, as the client wrote it, without the host name that the client used.
    pub path: Uri,
    /// Headers, those already chosen that pass.
    pub headers: HeaderMap,
    /// Body.
    pub body: ClientBody,
}

/// Sends requests to the pods of their branches.
pub struct Forwarder {
    reach: Reach,
    pool: Arc<Pool>,
    patience: Duration,
    metrics: Arc<Metrics>,
}

impl Forwarder {
    /// Spends at most `patience` on finding pods before an answer begins or nothing can be said.
    pub fn new(reach: Reach, patience: Duration, metrics: Arc<Metrics>) -> Self {
        Self { reach, pool: Arc::default(), patience, metrics }
    }

    /// Drops idle connections that are too old, for ever.
    pub async fn sweep(&self) {
        loop {
            sleep(USED_AGAIN / 2).await;
            self.pool.sweep();
            self.reach.sweep();
        }
    }

    /// Sends a call to the branch's pod, waking it if the call may, and to another pod as long as nothing was executed.
    /// Whoever holds the ticket's query can cancel it while nothing of it is sent.
    /// Errors: those of [`Reach::find`], `outcome-unknown`, `cancelled`, `draining`, `fenced`, `not-serving`,
    /// `statement-timeout`.
    pub async fn forward(
        &self,
        call: &Call,
        access: &Access,
        outbound: &mut Outbound,
        ticket: Option<&Ticket>,
    ) -> Result<Response<AnswerBody>, Problem> {
        let (branch, operation) = (&call.branch, call.operation());
        let intent = if operation.wakes { Intent::Wake } else { Intent::IfRunning };
        let patience = operation.find_within.map_or(self.patience, |most| most.min(self.patience));
        let deadline = Instant::now() + patience;
        let terms = Terms {
            idempotent: operation.idempotent,
            read_only: access.role == Role::ReadOnly,
            resendable: outbound.body.is_kept(),
        };
        let mut retry = Retry::new(branch, terms);
        let (mut avoided, mut same_pod): (Option<String>, Option<Destination>) = (None, None);
        loop {
            let found = if let Some(destination) = same_pod.take() {
                Ok(destination)
            } else {
                let finding = self.reach.find(branch, intent, avoided.as_deref(), deadline);
                unless_cancelled(ticket, finding).await?
            };
            let (step, tried) = match found {
                Err(problem) => (retry.next(Outcome::NoPod(problem), left(deadline)), None),
                Ok(destination) => {
                    ticket.map_or(Ok(()), Ticket::sending)?;
                    let failure = match self.attempt(&destination, branch, access, outbound).await {
                        Ok(answer) => return Ok(answer),
                        Err(failure) => failure,
                    };
                    let outcome = Outcome::Failed { pod: destination.route(), failure };
                    (retry.next(outcome, left(deadline)), Some(destination))
                }
            };
            match step {
                Step::SamePod => same_pod = tried,
                Step::End(problem) => {
                    self.forget(branch, tried.as_ref());
                    return Err(problem);
                }
                Step::FindPod { after, avoid, obstacle } => {
                    self.forget(branch, tried.as_ref());
                    tracing::info!(%branch, obstacle, "trying again");
                    self.metrics.retried();
                    if let Some(ticket) = ticket {
                        ticket.waiting();
                    }
                    unless_cancelled(ticket, sleep(after)).await?;
                    avoided = avoid;
                }
            }
        }
    }

    /// Forgets a pod that gave no answer, and its idle connections.
    fn forget(&self, branch: &BranchKey, tried: Option<&Destination>) {
        if let Some(destination) = tried {
            self.reach.forget(branch, destination);
            self.pool.forget(&destination.into());
        }
    }

    /// One try with one pod; returns when the answer begins.
    async fn attempt(
        &self,
        destination: &Destination,
        branch: &BranchKey,
        access: &Access,
        outbound: &mut Outbound,
    ) -> Result<Response<AnswerBody>, Failure> {
        let home = PodKey::from(destination);
        let pooled = self.pool.take(&home).await;
        let was_pooled = pooled.is_some();
        let mut connection = match pooled {
            Some(connection) => connection,
            None => self.connect(destination).await?,
        };
        let request = build(destination, branch, access, outbound)?;
        let answer_within = destination.route().statement_timeout.saturating_add(ANSWER_ALLOWANCE);
        match timeout(answer_within, connection.send(request)).await {
            Ok(Ok(response)) => {
                let (mut head, body) = response.into_parts();
                head.headers = for_client(&head.headers);
                let body = PooledBody::new(body, connection, Arc::clone(&self.pool), home);
                judge(Response::from_parts(head, body)).await
            }
            Ok(Err(mut error)) => match error.take_message() {
                Some(unsent) => {
                    outbound.body.give_back(unsent.into_body());
                    let why = error.into_error();
                    Err(if was_pooled { Failure::StaleConnection } else { not_reached(&why) })
                }
                None => Err(Failure::Broken(error.into_error().to_string())),
            },
            Err(_) => Err(Failure::Late(format!("no answer within {answer_within:?}"))),
        }
    }

    async fn connect(&self, destination: &Destination) -> Result<Connection, Failure> {
        let (stream, open) = self.reach.dial(destination).await.map_err(|error| not_reached(&error))?;
        Connection::open(stream, open).await.map_err(|error| not_reached(&error))
    }
}

/// Time from now to the deadline.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Waits for `what` unless the query is cancelled meanwhile.
async fn unless_cancelled<T>(ticket: Option<&Ticket>, what: impl Future<Output = T>) -> Result<T, Problem> {
    match ticket {
        Some(ticket) => ticket.unless_cancelled(what).await,
        None => Ok(what.await),
    }
}

fn not_reached(why: &dyn Display) -> Failure {
    Failure::NotReached(why.to_string())
}

/// The request as this pod gets it.
fn build(
    destination: &Destination,
    branch: &BranchKey,
    access: &Access,
    outbound: &mut Outbound,
) -> Result<Request<RequestBody>, Failure> {
    let session = destination.session_token(branch, access).map_err(|error| not_reached(&error))?;
    let mut session = HeaderValue::try_from(session).map_err(|error| not_reached(&error))?;
    session.set_sensitive(true);
    let host = HeaderValue::try_from(destination.tls_name()).map_err(|error| not_reached(&error))?;
    // The rules of trying again do not let it come to this.
    let body = outbound.body.take().ok_or_else(|| Failure::Broken("the request's body is gone".into()))?;
    let mut request = Request::new(body);
    *request.method_mut() = outbound.method.clone();
    *request.uri_mut() = outbound.path.clone();
    *request.headers_mut() = outbound.headers.clone();
    request.headers_mut().insert(SESSION_HEADER, session);
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

/// Reads a refusal; anything else is the client's.
async fn judge(response: Response<PooledBody>) -> Result<Response<AnswerBody>, Failure> {
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_problem = media_type.is_some_and(|value| value.starts_with(PROBLEM_MEDIA_TYPE));
    if response.status() != StatusCode::SERVICE_UNAVAILABLE || !is_problem {
        return Ok(response.map(BodyExt::boxed_unsync));
    }
    let (head, body) = response.into_parts();
    // A 503 means that no answer began, but only its document says that nothing was executed.
    let Ok(document) = Limited::new(body, MAX_PROBLEM_BYTES).collect().await else {
        return Err(Failure::Broken("the runtime's refusal broke off".into()));
    };
    let document = document.to_bytes();
    match serde_json::from_slice::<Problem>(&document) {
        Ok(problem) if executed_nothing(&problem) => Err(Failure::Refused(problem)),
        _ => Ok(Response::from_parts(head, full(document))),
    }
}
