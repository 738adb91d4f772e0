//! Passing a request on: to which pod, how often, and what to say when it cannot be done.

pub mod connection;
pub mod headers;
pub mod pool;
pub mod presence;
pub mod routes;
pub mod upstream;
pub mod waiting;

use crate::{
    auth::Access,
    body::read_bounded,
    keys::{Keys, KeysReceiver},
    metrics::Metrics,
    response::{AnswerBody, full},
    target::{Call, Target},
    wake::Flights,
};
use http::{Response, StatusCode, header};
use http_body_util::BodyExt;
use pool::PodKey;
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, PROBLEM_MEDIA_TYPE, Problem},
    session::Role,
    wake::Route,
};
use routes::{Known, Routes};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};
use upstream::{Outbound, SendError, Upstream, UpstreamBody};
use uuid::Uuid;
use waiting::{QueryKey, Ticket, Waiting};

/// Largest problem document of a runtime that is read to decide about a retry.
const MAX_PROBLEM_BYTES: usize = 64 * 1024;
/// Pause before the first retry; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Longest time spent on finding a running pod for a cancel or a status.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Finds the pod of a branch and sends requests to it.
pub struct Forwarder {
    flights: Arc<Flights>,
    upstream: Upstream,
    routes: Routes,
    waiting: Waiting,
    keys: KeysReceiver,
    patience: Duration,
    metrics: Arc<Metrics>,
}

/// What one attempt came to.
enum Attempt {
    /// An answer for the client.
    Answered(Response<AnswerBody>),
    /// Nothing of it stays executed: the pod said so, or was never reached.
    Refused(Refusal),
    /// It may have been executed.
    Broken(String),
    /// The same, but the connection stood: there was no answer in time.
    Late(String),
}

/// Why a pod has not executed a request.
enum Refusal {
    /// The pod says so.
    Told(Problem),
    /// It was not reached.
    NotReached(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(problem) => problem.fmt(f),
            Self::NotReached(why) => f.write_str(why),
        }
    }
}

impl Forwarder {
    /// Wakes through `flights`; spends at most `patience` before an answer begins or nothing can be said.
    pub fn new(flights: Arc<Flights>, keys: KeysReceiver, patience: Duration, metrics: Arc<Metrics>) -> Self {
        let upstream = Upstream::new(Arc::clone(&metrics));
        let routes = Routes::new(Arc::clone(&metrics));
        Self { flights, upstream, routes, waiting: Waiting::default(), keys, patience, metrics }
    }

    /// Drops idle connections that are too old, for ever.
    pub async fn sweep(&self) {
        loop {
            sleep(pool::USED_AGAIN / 2).await;
            self.upstream.pool().sweep();
            self.routes.sweep();
        }
    }

    /// Cancels a query that waits here and of which no runtime knows; says whether there was one.
    pub fn cancel_waiting(&self, branch: &BranchKey, access: &Access, id: Uuid) -> bool {
        self.waiting.cancel(&QueryKey { branch: branch.clone(), user: access.user.clone(), id })
    }

    /// Sends the request to the branch's pod, waking it for a query, and to another pod as long as nothing was executed.
    pub async fn forward(
        &self,
        target: &Target,
        access: &Access,
        id: Uuid,
        outbound: &Outbound,
    ) -> Result<Response<AnswerBody>, Problem> {
        if target.call != Call::Query {
            return self.pursue(target, access, outbound, None).await;
        }
        let key = QueryKey { branch: target.key.clone(), user: access.user.clone(), id };
        let ticket = self.waiting.enter(key)?;
        self.pursue(target, access, outbound, Some(&ticket)).await
    }

    async fn pursue(
        &self,
        target: &Target,
        access: &Access,
        outbound: &Outbound,
        ticket: Option<&Ticket>,
    ) -> Result<Response<AnswerBody>, Problem> {
        let patience =
            if target.call.is_idempotent() { self.patience.min(LOOKUP_TIMEOUT) } else { self.patience };
        let deadline = Instant::now() + patience;
        let keys = self.keys(deadline).await?;
        // The pod that must not be named again, and the one that could not be reached the last time.
        let (mut avoided, mut unreachable): (Option<String>, Option<String>) = (None, None);
        let mut broken_before = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let finding = self.route(target, avoided.as_deref(), deadline);
            let mut told = None;
            let obstacle = match unless_cancelled(ticket, finding).await? {
                Err(problem) if is_passing(problem.code) => problem.to_string(),
                Err(problem) => return Err(problem),
                Ok(known) => {
                    ticket.map_or(Ok(()), Ticket::sending)?;
                    let attempt = self.attempt(&known, &keys, access, target, outbound).await;
                    let route = &known.route;
                    if !matches!(attempt, Attempt::Answered(_)) {
                        self.forget(&target.key, route, &keys);
                    }
                    match attempt {
                        Attempt::Answered(response) => return Ok(response),
                        Attempt::Refused(refusal) => {
                            let why = refusal.to_string();
                            if let Refusal::Told(problem) = refusal {
                                told = Some(problem);
                            }
                            // A pod that cannot be reached once may be named again: perhaps only this connection failed.
                            if told.is_some() || unreachable.as_ref() == Some(&route.pod_uid) {
                                avoided = Some(route.pod_uid.clone());
                            }
                            unreachable = Some(route.pod_uid.clone());
                            if let Some(ticket) = ticket {
                                ticket.waiting();
                            }
                            why
                        }
                        Attempt::Broken(why) | Attempt::Late(why)
                            if target.call.is_idempotent() && !broken_before =>
                        {
                            broken_before = true;
                            why
                        }
                        Attempt::Late(why) if access.role == Role::ReadOnly => {
                            return Err(timed_out(route, &why));
                        }
                        Attempt::Broken(why) | Attempt::Late(why) => {
                            return Err(outcome_unknown(route, &why));
                        }
                    }
                }
            };
            tracing::info!(branch = %target.key, obstacle, "trying again");
            self.metrics.retried();
            if Instant::now() + pause >= deadline {
                // A pod that worked on it until now, say, and had to leave.
                return Err(told.unwrap_or_else(|| crate::wake::out_of_time(&target.key, &obstacle)));
            }
            unless_cancelled(ticket, sleep(pause)).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn keys(&self, deadline: Instant) -> Result<Arc<Keys>, Problem> {
        let mut keys = self.keys.clone();
        let current = match timeout_at(deadline, keys.wait_for(Option::is_some)).await {
            Ok(Ok(current)) => current.clone(),
            _ => None,
        };
        current.ok_or_else(|| {
            let detail = "the gateway is starting: it waits for the keys that the operator makes";
            Problem::new(ErrorCode::WakeTimeout, detail).retry_after(5)
        })
    }

    /// The pod to ask: a known one, or the one that the operator names. Only a query wakes.
    async fn route(
        &self,
        target: &Target,
        avoided: Option<&str>,
        deadline: Instant,
    ) -> Result<Known, Problem> {
        if let Some(known) = self.routes.get(&target.key)
            && avoided != Some(known.route.pod_uid.as_str())
        {
            return Ok(known);
        }
        let route = if target.call.is_idempotent() {
            self.flights.find_running(&target.key, avoided, deadline).await?
        } else {
            self.flights.wake(&target.key, avoided, deadline).await?
        };
        Ok(self.routes.named(&target.key, route))
    }

    async fn attempt(
        &self,
        known: &Known,
        keys: &Keys,
        access: &Access,
        target: &Target,
        outbound: &Outbound,
    ) -> Attempt {
        match self.upstream.send(known, keys, access, &target.key, outbound).await {
            Ok(response) => judge(response).await,
            Err(SendError::NotSent(why)) => Attempt::Refused(Refusal::NotReached(why)),
            Err(SendError::Broken(why)) => Attempt::Broken(why),
            Err(error @ SendError::Late(_)) => Attempt::Late(error.to_string()),
        }
    }

    /// Forgets a pod, unless the route has already been replaced.
    fn forget(&self, key: &BranchKey, route: &Route, keys: &Keys) {
        self.routes.forget(key, &route.pod_uid);
        self.upstream.pool().forget(&PodKey { pod_uid: route.pod_uid.clone(), generation: keys.generation });
    }
}

/// Waits for `what` unless the query is cancelled meanwhile.
async fn unless_cancelled<T>(ticket: Option<&Ticket>, what: impl Future<Output = T>) -> Result<T, Problem> {
    match ticket {
        Some(ticket) => ticket.unless_cancelled(what).await,
        None => Ok(what.await),
    }
}

/// Reads a refusal; anything else is the client's.
async fn judge(response: Response<UpstreamBody>) -> Attempt {
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_problem = media_type.is_some_and(|value| value.starts_with(PROBLEM_MEDIA_TYPE));
    if response.status() != StatusCode::SERVICE_UNAVAILABLE || !is_problem {
        return Attempt::Answered(response.map(BodyExt::boxed_unsync));
    }
    let (head, body) = response.into_parts();
    // A 503 means that no answer began, but only its document says that nothing was executed.
    let Ok(document) = read_bounded(body, MAX_PROBLEM_BYTES).await else {
        return Attempt::Broken("the runtime's refusal broke off".into());
    };
    match serde_json::from_slice::<Problem>(&document) {
        Ok(problem) if is_refusal(problem.code) && problem.committed_statements().is_none() => {
            Attempt::Refused(Refusal::Told(problem))
        }
        _ => Attempt::Answered(Response::from_parts(head, full(document))),
    }
}

/// Whether a runtime that says so, and of no statement that is committed, has executed nothing that stays.
const fn is_refusal(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Draining | ErrorCode::NotServing | ErrorCode::Fenced)
}

/// Whether the operator's answer is of a moment between two pods.
const fn is_passing(code: ErrorCode) -> bool {
    is_refusal(code) || matches!(code, ErrorCode::AlreadyGranted | ErrorCode::NotSealed)
}

fn outcome_unknown(route: &Route, why: &str) -> Problem {
    Problem::new(
        ErrorCode::OutcomeUnknown,
        format!(
            "the connection to pod {} broke after the request was sent ({why}): its transactions may be committed, \
             some of them, or none; look before sending them again",
            route.pod
        ),
    )
}

/// Who may only read has committed nothing, and the query is stopped.
fn timed_out(route: &Route, why: &str) -> Problem {
    Problem::new(ErrorCode::StatementTimeout, format!("pod {} was too slow ({why})", route.pod))
}
