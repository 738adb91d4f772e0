//! Whether an endpoint keeps the promises that the protocol rests on.

use super::{ObjectError, ObjectStore};
use crate::advice::Advice;
use crate::environment::Environment;

/// Why a bucket cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No decisive answer.
    #[error("the storage endpoint cannot be reached: {0}")]
    Unreachable(ObjectError),
    /// The key has no right to read, write, list or delete there.
    #[error("the storage endpoint denies {operation}: {cause}")]
    Denied {
        /// GET, PUT, LIST or DELETE.
        operation: &'static str,
        /// The answer.
        cause: ObjectError,
    },
    /// The endpoint ignores or lacks conditional writes.
    #[error("the storage endpoint does not honour {header}: {why}; Roost needs conditional writes")]
    ConditionalWritesUnsupported {
        /// The header.
        header: &'static str,
        /// What was seen.
        why: String,
    },
    /// Something else that a person must look at (no such bucket, a refused request).
    #[error("the bucket cannot be used: {0}")]
    Unusable(ObjectError),
}

impl ProbeError {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unreachable(_) => Advice::Retry,
            _ => Advice::AskOperator,
        }
    }
}

/// Writes, overwrites, reads, lists and deletes one object `<prefix>/.roost/probe-<random>`.
pub async fn probe(
    _store: &dyn ObjectStore,
    _prefix: &str,
    _environment: &Environment,
) -> Result<(), ProbeError> {
    todo!()
}
