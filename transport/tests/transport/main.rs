//! Listening, dialling and stopping over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics fails, which is what it is for; clippy exempts only the test functions themselves"
)]

mod accepting;
mod dialling;
mod ending;
mod probing;
mod support;
mod tls;
