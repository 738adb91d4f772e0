//! Waking: every replica serves it. In a process one flight per branch; across replicas the API server's 409 on the
//! pod's name decides, and the runtime accepts one grant.

pub mod auth;
pub mod cluster;
mod finding;
mod limits;
pub mod pods;
pub mod server;
mod service;
mod status;
mod world;

pub use service::{Limits, Waker};
