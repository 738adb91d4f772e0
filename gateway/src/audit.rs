//! The audit log: one line for each call of the public API, at its end. Never a statement, never a token.

use crate::metrics::Metrics;
use roost_protocol::{problem::Problem, routes::Call, session::Role};
use std::{net::SocketAddr, sync::Arc};
use tokio::time::Instant;
use uuid::Uuid;

/// Target of the audit lines, for filters.
const TARGET: &str = "roost::audit";

/// The line of one call, as far as it is known; written when dropped.
pub struct Record {
    call: Call,
    peer: SocketAddr,
    started: Instant,
    metrics: Arc<Metrics>,
    /// Kubernetes user name, once known.
    pub user: Option<String>,
    /// The user's role, once known.
    pub role: Option<Role>,
    /// The query's id, once known.
    pub query_id: Option<Uuid>,
    status: u16,
    outcome: String,
    bytes: u64,
}

impl Record {
    /// Begins a line. Unless something else is said, the client left.
    pub fn begin(call: Call, peer: SocketAddr, metrics: Arc<Metrics>) -> Self {
        metrics.request_began();
        Self {
            call,
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

    /// An answer begins, with this HTTP status.
    pub const fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// So many more bytes of the answer were passed on.
    pub const fn sent(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// The whole answer was passed on.
    pub fn complete(&mut self) {
        self.outcome = "complete".into();
    }

    /// The runtime broke off its answer.
    pub fn cut(&mut self) {
        self.outcome = "cut-by-runtime".into();
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let operation = self.call.operation().name;
        self.metrics.request_ended(operation, &self.outcome, elapsed, self.bytes);
        tracing::info!(
            target: TARGET,
            user = self.user.as_deref().unwrap_or("-"),
            role = self.role.map(|role| format!("{role:?}")),
            peer = %self.peer,
            namespace = self.call.branch.namespace,
            tenant = self.call.branch.tenant,
            branch = self.call.branch.branch,
            verb = operation,
            query_id = self.query_id.map(|id| id.to_string()),
            status = self.status,
            outcome = self.outcome,
            bytes = self.bytes,
            millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        );
    }
}
