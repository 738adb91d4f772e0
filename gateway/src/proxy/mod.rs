//! Passing a request on: to which pod, how often, and what to say when it cannot be done.

pub mod connection;
pub mod headers;
pub mod pool;
pub mod upstream;

use crate::{
    auth::Access,
    body::read_bounded,
    keys::{Keys, KeysReceiver},
    metrics::Metrics,
    response::{AnswerBody, full},
    target::{BranchKey, Target},
    wake::Flights,
};
use http::{Response, StatusCode, header};
use http_body_util::BodyExt;
use moka::sync::Cache;
use pool::PodKey;
use roost_protocol::{
    problem::{ErrorCode, PROBLEM_MEDIA_TYPE, Problem},
    wake::Route,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};
use upstream::{Outbound, SendError, Upstream, UpstreamBody};

/// Most routes remembered.
const MAX_ROUTES: u64 = 20_000;
/// How long a route is used before the operator is asked again, so that a changed class is noticed.
const ROUTE_LIFETIME: Duration = Duration::from_mins(5);
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
    routes: Cache<BranchKey, Arc<Route>>,
    keys: KeysReceiver,
    patience: Duration,
    metrics: Arc<Metrics>,
}

/// What one attempt came to.
enum Attempt {
    /// An answer for the client.
    Answered(Response<AnswerBody>),
    /// Nothing was executed, and the pod said so or was never reached.
    Refused { why: String, reached: bool },
    /// It may have been executed.
    Broken(String),
}

impl Forwarder {
    /// Wakes through `flights`; spends at most `patience` before an answer begins or nothing can be said.
    pub fn new(flights: Arc<Flights>, keys: KeysReceiver, patience: Duration, metrics: Arc<Metrics>) -> Self {
        let routes = Cache::builder().max_capacity(MAX_ROUTES).time_to_live(ROUTE_LIFETIME).build();
        Self { flights, upstream: Upstream::default(), routes, keys, patience, metrics }
    }

    /// Drops idle connections that are too old, for ever.
    pub async fn sweep(&self) {
        loop {
            sleep(pool::IDLE_LIFETIME / 2).await;
            self.upstream.pool().sweep();
        }
    }

    /// Sends the request to the branch's pod, waking it for a query, and to another pod as long as nothing was executed.
    pub async fn forward(
        &self,
        target: &Target,
        access: &Access,
        outbound: &Outbound,
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
            let obstacle = match self.route(target, avoided.as_deref(), deadline).await {
                Err(problem) if is_passing(problem.code) => problem.to_string(),
                Err(problem) => return Err(problem),
                Ok(route) => match self.attempt(&route, &keys, access, target, outbound).await {
                    Attempt::Answered(response) => return Ok(response),
                    // A pod that cannot be reached once gets a second chance: perhaps only this connection failed.
                    Attempt::Refused { why, reached: false }
                        if unreachable.as_ref() != Some(&route.pod_uid) =>
                    {
                        unreachable = Some(route.pod_uid.clone());
                        why
                    }
                    Attempt::Refused { why, .. } => {
                        self.forget(&target.key, &route, &keys);
                        avoided = Some(route.pod_uid.clone());
                        why
                    }
                    Attempt::Broken(why) if target.call.is_idempotent() && !broken_before => {
                        self.forget(&target.key, &route, &keys);
                        broken_before = true;
                        why
                    }
                    Attempt::Broken(why) => {
                        self.forget(&target.key, &route, &keys);
                        return Err(outcome_unknown(&route, &why));
                    }
                },
            };
            tracing::info!(branch = %target.key, obstacle, "trying again");
            self.metrics.retried();
            if Instant::now() + pause >= deadline {
                return Err(crate::wake::out_of_time(&target.key, &obstacle));
            }
            sleep(pause).await;
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
    ) -> Result<Arc<Route>, Problem> {
        if let Some(route) = self.routes.get(&target.key)
            && avoided != Some(route.pod_uid.as_str())
        {
            return Ok(route);
        }
        let route = if target.call.is_idempotent() {
            self.flights.find_running(&target.key, avoided, deadline).await?
        } else {
            self.flights.wake(&target.key, avoided, deadline).await?
        };
        self.routes.insert(target.key.clone(), Arc::clone(&route));
        Ok(route)
    }

    async fn attempt(
        &self,
        route: &Route,
        keys: &Keys,
        access: &Access,
        target: &Target,
        outbound: &Outbound,
    ) -> Attempt {
        match self.upstream.send(route, keys, access, &target.key, outbound).await {
            Ok(response) => judge(response).await,
            Err(SendError::NotSent(why)) => Attempt::Refused { why, reached: false },
            Err(SendError::Broken(why)) => Attempt::Broken(why),
        }
    }

    /// Forgets a pod, unless the route has already been replaced.
    fn forget(&self, key: &BranchKey, route: &Route, keys: &Keys) {
        if self.routes.get(key).is_some_and(|known| known.pod_uid == route.pod_uid) {
            self.routes.invalidate(key);
        }
        self.upstream.pool().forget(&PodKey { pod_uid: route.pod_uid.clone(), generation: keys.generation });
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
        Ok(problem) if is_refusal(problem.code) => {
            Attempt::Refused { why: problem.to_string(), reached: true }
        }
        _ => Attempt::Answered(Response::from_parts(head, full(document))),
    }
}

/// Whether a runtime that says so has executed nothing.
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
            "the connection to pod {} broke after the request was sent ({why}): the statements may have been \
             executed or not; look before sending them again",
            route.pod
        ),
    )
}
