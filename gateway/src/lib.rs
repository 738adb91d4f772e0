//! The gateway: the stable endpoint of every tenant. It finds out who asks and what they may do, has the operator
//! wake the branch, and passes the request on to the runtime pod and the answer back.
//!
//! [`reach`] finds and dials the pod of a branch and knows no client's protocol; [`http`] speaks with clients, and uses
//! `reach`, [`auth`] and [`limits`], as another protocol beside it would. [`operator`] is how `reach` has pods named.

pub mod audit;
pub mod auth;
pub mod clock;
pub mod config;
pub mod health;
pub mod http;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod operator;
pub mod reach;
pub mod response;
pub mod server;
pub mod setup;
