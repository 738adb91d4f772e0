//! The audit log: one line for each request of the query API, at its end. Never a statement, never a token.

use crate::{
    limits::Admission,
    metrics::Metrics,
    response::{AnswerBody, BodyError},
    target::Target,
};
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use roost_protocol::{problem::Problem, session::Role};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::Instant;
use uuid::Uuid;

/// Target of the audit lines, for filters.
const TARGET: &str = "roost::audit";

/// What is known of a request; written when dropped.
pub struct Record {
    target: Target,
    peer: SocketAddr,
    started: Instant,
    metrics: Arc<Metrics>,
    /// Kubernetes user name, once known.
    pub user: Option<String>,
    /// What the user may do, once known.
    pub role: Option<Role>,
    /// The query's id, once known.
    pub query_id: Option<Uuid>,
    status: u16,
    outcome: String,
    bytes: u64,
}

impl Record {
    /// Begins a line. Unless something else is said, the client left.
    pub fn begin(target: Target, peer: SocketAddr, metrics: Arc<Metrics>) -> Self {
        metrics.request_began();
        Self {
            target,
            peer,
            started: Instant::now(),
            metrics,
            user: None,
            role: None,
            query_id: None,
            status: 0,
            outcome: "client-left".into(),
            bytes: 0,
        }
    }

    /// Ends the line with a problem.
    pub fn refuse(mut self, problem: &Problem) {
        self.status = problem.status();
        problem.code.name().clone_into(&mut self.outcome);
    }

    /// Ends the line when the answer ends.
    pub fn follow(mut self, response: Response<AnswerBody>, admission: Admission) -> Response<AnswerBody> {
        self.status = response.status().as_u16();
        response.map(|body| Followed { body, record: self, _admission: admission }.boxed_unsync())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        self.metrics.request_ended(self.target.call, &self.outcome, elapsed, self.bytes);
        tracing::info!(
            target: TARGET,
            user = self.user.as_deref().unwrap_or("-"),
            role = self.role.map(|role| format!("{role:?}")),
            peer = %self.peer,
            namespace = self.target.key.namespace,
            tenant = self.target.key.tenant,
            branch = self.target.key.branch,
            verb = self.target.call.name(),
            query_id = self.query_id.map(|id| id.to_string()),
            status = self.status,
            outcome = self.outcome,
            bytes = self.bytes,
            millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        );
    }
}

/// An answer's body with the line to be written at its end and the place that it takes until then.
struct Followed {
    body: AnswerBody,
    record: Record,
    _admission: Admission,
}

impl Followed {
    fn ended(&mut self) {
        self.record.outcome = "complete".into();
    }
}

impl Body for Followed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(data)) => {
                self.record.bytes += data.data_ref().map_or(0, |data| data.len() as u64);
                if self.body.is_end_stream() {
                    self.ended();
                }
            }
            Some(Err(_)) => self.record.outcome = "cut-by-runtime".into(),
            None => self.ended(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
