//! WAL that an owner before left: whether it cannot be replayed, and what is said then.

use crate::lifecycle::ending;
use roost_duckdb::ErrorKind;
use roost_engine::{OpenError, QueryError};
use roost_protocol::{
    names::MAIN_BRANCH,
    problem::{ErrorCode, Problem},
    status::{Ending, RuntimeState},
};
use roost_store::{BranchName, Hydrated};

/// Most characters that are told of what DuckDB said: it may quote at length.
const MAX_WHY: usize = 500;

/// DuckDB's words if the error of opening a database with WAL is one of replaying it. The caller has ruled out that a
/// file could not be read.
pub fn failure(error: &OpenError) -> Option<String> {
    match error {
        OpenError::Attach(cause) if !matches!(cause.kind, ErrorKind::OutOfMemory | ErrorKind::Interrupt) => {
            Some(cause.to_string())
        }
        _ => None,
    }
}

/// Whether a failed checkpoint says something about what the database holds.
pub const fn is_about_data(error: &QueryError) -> bool {
    !matches!(error.code, ErrorCode::OutOfMemory | ErrorCode::TransactionConflict | ErrorCode::Cancelled)
}

/// A WAL that cannot be replayed, before it is known whose.
pub fn problem(why: &str) -> Problem {
    let why: String = why.chars().take(MAX_WHY).collect();
    Problem::new(ErrorCode::ReplayFailed, why)
}

/// WAL that is replayed when a branch opens: of which branch, and from when until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingReplay {
    branch: BranchName,
    /// Time of the last commit that is in the manifest: up to it the branch opens in any case.
    published: jiff::Timestamp,
    last_commit: Option<jiff::Timestamp>,
}

impl PendingReplay {
    /// Of what is about to be opened; none without WAL.
    pub fn of(branch: BranchName, content: &Hydrated) -> Option<Self> {
        match content {
            Hydrated::Restored { wal: 1.., published, last_commit, .. } => {
                Some(Self { branch, published: *published, last_commit: *last_commit })
            }
            _ => None,
        }
    }

    /// A problem with what to do about it, if it is [`problem`]'s.
    pub fn explain(&self, mut problem: Problem) -> Problem {
        if problem.code == ErrorCode::ReplayFailed {
            problem.detail = self.detail(&problem.detail);
        }
        problem
    }

    /// The last words if the process dies of it.
    pub fn foretold(&self) -> Ending {
        let problem = self.explain(problem("the engine crashed"));
        Ending { state: RuntimeState::Hydrating, ..ending::failed(problem) }
    }

    fn detail(&self, why: &str) -> String {
        let since = self.published;
        let until = self.last_commit.map_or_else(String::new, |last| format!(" and until {last}"));
        let is_main = self.branch.as_str() == MAIN_BRANCH;
        let from = if is_main { String::new() } else { format!("branchName: {}, ", self.branch) };
        let or = if is_main { ", or a Tenant with source.pointInTime," } else { "" };
        format!(
            "what was committed after {since}{until} cannot be replayed: {why}. All of it is kept. A Branch \
             with from: {{{from}time: \"{since}\"}}{or} opens; `roost-operator fsck CLASS --tenant NAMESPACE/NAME --replay` \
             finds a later moment that does"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_what_to_write() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let replay = |branch: &str| PendingReplay {
            branch: BranchName::new(branch).unwrap(),
            published: at(0),
            last_commit: Some(at(60)),
        };
        let kept = "All of it is kept. A Branch with from:";
        let finds =
            "`roost-operator fsck CLASS --tenant NAMESPACE/NAME --replay` finds a later moment that does";
        assert_eq!(
            replay("main").explain(problem("no table")).detail,
            format!(
                "what was committed after 1970-01-01T00:00:00Z and until 1970-01-01T00:01:00Z cannot be replayed: no \
                 table. {kept} {{time: \"1970-01-01T00:00:00Z\"}}, or a Tenant with source.pointInTime, opens; {finds}"
            )
        );
        assert_eq!(
            replay("dev").foretold().problem.unwrap().detail,
            format!(
                "what was committed after 1970-01-01T00:00:00Z and until 1970-01-01T00:01:00Z cannot be replayed: the \
                 engine crashed. {kept} {{branchName: dev, time: \"1970-01-01T00:00:00Z\"}} opens; {finds}"
            )
        );
        let other = Problem::new(ErrorCode::EngineFailed, "why");
        assert_eq!(replay("main").explain(other.clone()), other);
    }
}
