//! Grants and commands: signed by the operator for this pod, each accepted once.

use super::respond::json;
use crate::{
    config::PodIdentity,
    lifecycle::Lifecycle,
    serving::{self, opening::Served},
};
use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use roost_protocol::{
    PROTOCOL_VERSION,
    command::{Command, CommandRequest, Order},
    grant::{Grant, GrantRequest},
    is_compatible,
    names::paths,
    problem::{ErrorCode, Problem},
    signing::MAX_SIGNED_BYTES,
    status::{RuntimeState, RuntimeStatus},
    time::UnixMillis,
};
use roost_store::Environment;
use roost_transport::problem::Refused;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// Nonces of commands that are remembered; they expire within seconds, so more is an attack.
const MAX_NONCES: usize = 4096;
/// Time that a request's body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The JSON around a signed statement.
const MAX_BODY_BYTES: usize = MAX_SIGNED_BYTES + 1024;

/// Outcome of acting upon the grant; none until there is one.
pub type Outcome = Option<Result<(), Problem>>;

/// The pod as the operator sees it: it accepts a grant, reports its state and obeys commands.
pub struct PodControl {
    identity: PodIdentity,
    lifecycle: Arc<Lifecycle>,
    environment: Environment,
    grants: mpsc::Sender<Box<Grant>>,
    outcome: watch::Sender<Outcome>,
    served: OnceLock<Arc<Served>>,
    nonces: Mutex<HashMap<Uuid, UnixMillis>>,
}

impl PodControl {
    /// Before any grant; the one that is accepted comes out of the receiver.
    pub fn new(
        identity: PodIdentity,
        lifecycle: Arc<Lifecycle>,
        environment: Environment,
    ) -> (Arc<Self>, mpsc::Receiver<Box<Grant>>) {
        let (grants, granted) = mpsc::channel(1);
        let control = Self {
            identity,
            lifecycle,
            environment,
            grants,
            outcome: watch::Sender::new(None),
            served: OnceLock::new(),
            nonces: Mutex::default(),
        };
        (Arc::new(control), granted)
    }

    /// The tenant is served: statuses and commands are about it.
    pub fn serves(&self, served: Arc<Served>) {
        let _ = self.served.set(served);
    }

    /// Says what became of the grant to whoever waits for the answer.
    pub fn settle(&self, outcome: Result<(), Problem>) {
        self.outcome.send_replace(Some(outcome));
    }

    fn now(&self) -> UnixMillis {
        UnixMillis::clamped(self.environment.clock.now().as_millisecond())
    }

    fn status(&self) -> RuntimeStatus {
        match self.served.get() {
            Some(served) => serving::status(served, &self.lifecycle),
            None => RuntimeStatus {
                version: PROTOCOL_VERSION,
                state: self.lifecycle.state(),
                position: None,
                database_size: 0,
                durable_lag_millis: 0,
                last_active: self.now(),
                running: 0,
            },
        }
    }

    fn check_grant(&self, token: &str) -> Result<Box<Grant>, Problem> {
        let grant: Grant = self
            .identity
            .operator_key
            .verify(token)
            .map_err(|error| unauthenticated(&format!("the grant is refused: {error}")))?;
        if !is_compatible(grant.version) {
            return Err(unauthenticated("the operator's version is too far from this runtime's"));
        }
        if grant.pod != self.identity.name || grant.pod_uid != self.identity.uid {
            return Err(unauthenticated("the grant is for another pod"));
        }
        if grant.not_after <= self.now() {
            return Err(unauthenticated("the grant has expired; check the clocks of operator and node"));
        }
        Ok(Box::new(grant))
    }

    fn check_command(&self, token: &str) -> Result<Order, Problem> {
        let command: Command = self
            .identity
            .operator_key
            .verify(token)
            .map_err(|error| unauthenticated(&format!("the command is refused: {error}")))?;
        if !is_compatible(command.version) {
            return Err(unauthenticated("the operator's version is too far from this runtime's"));
        }
        if command.pod_uid != self.identity.uid {
            return Err(unauthenticated("the command is for another pod"));
        }
        let now = self.now();
        if command.not_after <= now {
            return Err(unauthenticated("the command has expired; check the clocks of operator and node"));
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.retain(|_, not_after| *not_after > now);
        if nonces.len() >= MAX_NONCES {
            return Err(Problem::new(ErrorCode::Busy, "too many commands at once").retry_after(1));
        }
        if nonces.insert(command.nonce, command.not_after).is_some() {
            return Err(unauthenticated("the command was obeyed before"));
        }
        Ok(command.order)
    }
}

fn unauthenticated(why: &str) -> Problem {
    Problem::new(ErrorCode::Unauthenticated, why)
}

/// The routes.
pub fn routes(control: Arc<PodControl>) -> Router {
    Router::new().route(paths::GRANT, post(take_grant)).route(paths::COMMAND, post(obey)).with_state(control)
}

async fn read<T: serde::de::DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let malformed = |why: String| Problem::new(ErrorCode::BadRequest, format!("the request's body {why}"));
    let bytes = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, MAX_BODY_BYTES))
        .await
        .map_err(|_| malformed("did not arrive in time".into()))?
        .map_err(|_| malformed(format!("is longer than {MAX_BODY_BYTES} bytes, or broke off")))?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(format!("cannot be read: {error}")))
}

async fn take_grant(State(control): State<Arc<PodControl>>, body: Body) -> Result<Response, Refused> {
    let request: GrantRequest = read(body).await.map_err(Refused)?;
    let grant = control.check_grant(&request.grant).map_err(Refused)?;
    let tenant = format!("{}/{}", grant.tenant.namespace, grant.tenant.name);
    control.lifecycle.advance(RuntimeState::Claimed, &format!("granted {tenant} {}", grant.branch)).map_err(
        |refused| {
            let code = if refused.from == RuntimeState::Draining {
                ErrorCode::Draining
            } else {
                ErrorCode::AlreadyGranted
            };
            Refused(Problem::new(code, format!("this pod is {:?} already", refused.from)))
        },
    )?;
    if control.grants.send(grant).await.is_err() {
        return Err(Refused(Problem::new(ErrorCode::NotServing, "this pod is about to end")));
    }
    let mut outcome = control.outcome.subscribe();
    let settled = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    match settled {
        Some(Ok(())) => Ok(json(&control.status())),
        Some(Err(problem)) => Err(Refused(problem)),
        None => Err(Refused(Problem::new(ErrorCode::NotServing, "this pod is about to end"))),
    }
}

async fn obey(State(control): State<Arc<PodControl>>, body: Body) -> Result<Response, Refused> {
    let request: CommandRequest = read(body).await.map_err(Refused)?;
    let order = control.check_command(&request.command).map_err(Refused)?;
    tracing::debug!(?order, "command");
    match (order, control.served.get()) {
        (Order::Report, _) => {}
        (Order::Publish | Order::Drain, None) => {
            let detail = format!("this pod serves nothing; it is {:?}", control.lifecycle.state());
            return Err(Refused(Problem::new(ErrorCode::NotServing, detail)));
        }
        (Order::Publish, Some(served)) => publish(served).await.map_err(Refused)?,
        (Order::Drain, Some(served)) => served.begin_draining(&control.lifecycle, "commanded"),
    }
    Ok(json(&control.status()))
}

/// A publish goes on when its asker leaves: it must not stop half way.
async fn publish(served: &Arc<Served>) -> Result<(), Problem> {
    let publisher = Arc::clone(&served.publisher);
    let result = tokio::spawn(async move { publisher.publish("commanded").await }).await;
    match result {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(crate::problems::of_store(&error)),
        Err(stopped) => Err(Problem::new(ErrorCode::Internal, stopped.to_string())),
    }
}
