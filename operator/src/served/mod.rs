//! Tenants and Branches alike: both are a branch that a pod serves or none, have a class, and show the same things in status.

mod look;
mod requeue;
mod status;

pub use look::look;
pub use requeue::look_again;
pub use status::{endpoint, report};
