//! What clients are told of this crate's errors.

use roost_protocol::problem::ErrorCode;

/// An error that a client may be told of.
pub trait PublicError: std::fmt::Display {
    /// Its row in the table of public errors.
    fn code(&self) -> ErrorCode;
}
