//! Waking: every replica serves it. In a process one flight per branch; across replicas the API server's 409 on the
//! pod's name decides, and the runtime accepts one grant.

pub mod auth;
pub mod cluster;
mod flight;
#[cfg(test)]
mod flight_test;
mod limits;
mod room;
pub mod runtimes;
mod script;
pub mod server;
mod service;
mod target;
mod world;

pub use limits::{FailureMemory, StartRate};
pub use room::{Occupant, Room, room};
pub use service::{Limits, Waker};
pub use target::{Target, TargetState};
pub use world::{Cluster, Created, Runtimes};
