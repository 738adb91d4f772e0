//! The question to the operator: where a branch is served, woken for it or not. Who asks it, and how, is hidden behind
//! a trait, so that reaching a branch knows no protocol.

use futures::future::BoxFuture;
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
    wake::Route,
};
use tokio::time::Instant;

/// Time that a client is told to wait after a wake that took too long, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// A question to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// The branch.
    pub key: BranchKey,
    /// A pod that turned out to be draining or gone.
    pub not_pod_uid: Option<String>,
    /// Name a runtime that serves now, and start none.
    pub only_if_running: bool,
}

/// The operator, as whoever looks for a branch sees it.
pub trait Waker: Send + Sync {
    /// Names the branch's pod, or says by `deadline` why there is none.
    /// Errors: `wake-timeout`, those of the operator's `Waker::wake()` (operator/src/wake/service.rs),
    /// `unauthenticated`, `bad-request`, `internal`.
    fn wake<'a>(&'a self, wake: &'a Wake, deadline: Instant) -> BoxFuture<'a, Result<Route, Problem>>;
}

/// The problem of a wake that took too long: [`ErrorCode::WakeTimeout`].
pub fn out_of_time(key: &BranchKey, obstacle: &str) -> Problem {
    Problem::new(
        ErrorCode::WakeTimeout,
        format!("{key} did not wake in time ({obstacle}); nothing was executed, so ask again"),
    )
    .retry_after(RETRY_AFTER_SECONDS)
}
