//! Failures of the local file.

use crate::encryption::KeyError;
use crate::format::ReadError;
use crate::public_error::PublicError;
use roost_protocol::problem::ErrorCode;

/// Opening, building or filling the local file failed. What is left of a new file is removed.
#[derive(Debug, thiserror::Error)]
pub enum HydrateError {
    /// An object could not be read, or is not what it should be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The local disk failed.
    #[error("the file {path} cannot be used: {message}")]
    Local {
        /// The file.
        path: String,
        /// The system's words.
        message: String,
    },
    /// The tenant is encrypted and no key was given, or the other way round.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The pin of a position that is read is gone or keeps something else.
    #[error("the position to read is not pinned: {0}")]
    NotPinned(String),
}

impl PublicError for HydrateError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Read(error) => error.code(),
            Self::Key(_) => ErrorCode::KeyUnavailable,
            Self::NotPinned(_) => ErrorCode::DataMissing,
            Self::Local { .. } => ErrorCode::Internal,
        }
    }
}

impl HydrateError {
    /// The local disk failed.
    pub(crate) fn local(path: &std::path::Path, message: &(impl ToString + ?Sized)) -> Self {
        Self::Local { path: path.display().to_string(), message: message.to_string() }
    }
}
