//! Internal trust: the certificate authority, the signing keys, and TLS between Roost's processes.

mod authority;
mod secrets;
mod trusted;

pub use authority::{Authority, AuthorityError, Identity};
pub use secrets::{Trust, TrustError, ensure, load};
pub use trusted::Trusted;

#[cfg(test)]
mod handshake_test;
