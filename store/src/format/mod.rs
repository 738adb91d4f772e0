//! The bytes of every kind of object. docs/format.md describes them for people.

pub use crate::format_error::FormatError;
use crate::object::ObjectError;
use crate::public_error::PublicError;
use roost_protocol::problem::ErrorCode;

pub mod catalogue;
pub mod head;
pub mod json;
pub mod manifest;
pub mod merged;
pub mod name;
pub mod pack;
pub mod page;
pub mod pin;
pub mod segment;
pub mod tenant;

mod bytes;
mod start;

/// Why an object could not be read as what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bucket did not give it.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Its content is not what it should be. Nothing was changed.
    #[error("object {key} cannot be used: {cause}")]
    Content {
        /// The object.
        key: String,
        /// The flaw of its content.
        cause: FormatError,
    },
    /// It belongs to another history than the one it is read for. Nothing was changed.
    #[error("object {key} belongs to lineage {found}, expected {expected}")]
    WrongLineage {
        /// The object.
        key: String,
        /// The lineage it carries.
        found: String,
        /// The lineage (or lineages) it should carry.
        expected: String,
    },
    /// It is intact, but is not the object that its name or its referrer says.
    #[error("object {key} is not what refers to it expects: {why}")]
    Mismatch {
        /// The object.
        key: String,
        /// The difference.
        why: String,
    },
}

impl PublicError for ReadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Object(error) => error.code(),
            Self::Content { cause: FormatError::Version { .. } | FormatError::Encrypted(_), .. } => {
                ErrorCode::EngineTooOld
            }
            Self::Content { .. } | Self::WrongLineage { .. } | Self::Mismatch { .. } => {
                ErrorCode::DataCorrupted
            }
        }
    }
}

impl ReadError {
    pub(crate) fn content(key: &str) -> impl FnOnce(FormatError) -> Self + '_ {
        move |cause| Self::Content { key: key.to_owned(), cause }
    }
}
