//! The gateway between real servers on loopback: a scripted operator and scripted runtimes over real TLS, and a
//! scripted Kubernetes API.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that panics fails, which is what it is for; clippy exempts only the test functions themselves"
)]
#![allow(
    clippy::unnecessary_wraps,
    reason = "scripts return results, since some of them break the connection"
)]

mod auth;
mod client;
mod following;
mod harness;
mod kubernetes;
mod leaving;
mod peer;
mod proxying;
mod request_bodies;
mod serving;
mod streaming;
mod waking;
