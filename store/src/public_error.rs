//! This crate's errors as clients are told of them.

use roost_protocol::problem::ErrorCode;

/// An error that a client may be told of.
pub trait PublicError: std::fmt::Display {
    /// Its row in the table of public errors.
    fn code(&self) -> ErrorCode;
}
