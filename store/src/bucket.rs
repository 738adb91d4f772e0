//! The bucket with bounded retries, and writes that end decided.

use crate::advice::Advice;
use crate::format::ReadError;
use crate::object::ObjectError;

/// Why a write has no good end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Nobody knows whether it took effect. A process that owns a branch must exit.
    #[error("it is not known whether the write of {key} took effect: {message}")]
    Undecided {
        /// The object.
        key: String,
        /// The last answers.
        message: String,
    },
    /// It did not take effect.
    #[error(transparent)]
    Refused(#[from] ObjectError),
    /// What is there instead cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Someone else's object is there.
    #[error("object {key} was written by someone else")]
    Other {
        /// The object.
        key: String,
    },
}

impl WriteError {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Undecided { .. } => Advice::GiveUp,
            Self::Refused(error) => error.advice(),
            Self::Read(error) => error.advice(),
            Self::Other { .. } => Advice::Retry,
        }
    }
}
