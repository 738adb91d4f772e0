//! The gateway: the stable endpoint of every tenant. It finds out who asks and what they may do, has the operator
//! wake the branch, and passes the request on to the runtime pod and the answer back, both as they come.

#![allow(
    clippy::result_large_err,
    reason = "the error is the answer that the client gets; it is moved a few times and on no hot path"
)]

pub mod audit;
pub mod auth;
pub mod body;
pub mod clock;
pub mod config;
pub mod gateway;
pub mod health;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod proxy;
pub mod response;
pub mod server;
pub mod setup;
pub mod target;
pub mod wake;
