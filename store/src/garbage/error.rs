//! Why a run ended without deleting everything that it could.

use crate::bucket::WriteError;
use crate::format::ReadError;
use crate::reachability::Finding;
use crate::tenant::TenantError;

/// A collection did not come to its end. What it deleted until then was garbage.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The prefix is not ours, or is being deleted.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The bucket did not answer, or holds what cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A list of condemned objects could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something that is needed is missing or damaged. Nothing more was deleted: what seems unneeded may belong to it.
    #[error("nothing is collected at {location}, because something is wrong there: {}", first(.findings))]
    Damaged {
        /// The tenant's prefix.
        location: String,
        /// Everything that is missing or damaged.
        findings: Vec<Finding>,
    },
    /// Runs before this one left so many lists that pins would miss one.
    #[error("{0} earlier collections did not end; their lists must go first")]
    TooManyLists(usize),
}

fn first(findings: &[Finding]) -> String {
    findings.first().map_or_else(String::new, |finding| {
        let more = match findings.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        format!("{} needs: {}{more}", finding.needed_by, finding.problem)
    })
}
