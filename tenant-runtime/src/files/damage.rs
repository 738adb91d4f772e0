//! Damage that reading the database met: what is asked for it is refused, and the process ends.

use crate::problems;
use roost_protocol::problem::{ErrorCode, Problem};
use roost_store::{HydrateError, PublicError as _};
use std::sync::{Arc, OnceLock};

/// DuckDB's type of an error that a file gave.
const FILE_ERROR: &str = "IO";

/// The first damage that was found, if any.
#[derive(Clone, Debug, Default)]
pub struct Damage(Arc<OnceLock<Problem>>);

impl Damage {
    /// Notes an error of reading the database, if it is damage and no passing trouble. True if it is.
    pub fn note(&self, error: &HydrateError) -> bool {
        if !matches!(error.code(), ErrorCode::DataCorrupted | ErrorCode::EngineTooOld) {
            return false;
        }
        tracing::error!(%error, "a part of the database in the bucket cannot be read");
        self.0.get_or_init(|| problems::of_store(error));
        true
    }

    /// The first damage that was found, as a problem.
    pub fn found(&self) -> Option<&Problem> {
        self.0.get()
    }

    /// The damage instead of the error of a query that met it. Which object it is, is the operator's to say.
    pub fn explain(&self, problem: Problem) -> Problem {
        let Some(found) = self.found() else { return problem };
        if problem.particulars().error_type.as_deref() != Some(FILE_ERROR) {
            return problem;
        }
        let detail = "a part of the database in object storage cannot be read, and the statement needs it; the tenant's \
                      condition Ready names it";
        let damaged = Problem::new(found.code, detail);
        match problem.committed_statements() {
            Some(statements) => damaged.after_commit(statements),
            None => damaged,
        }
    }
}
