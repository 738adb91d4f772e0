//! The pods of wakes: found or made, asked, granted, and removed, by one flight a branch.

mod api_server;
mod branch_pods;
mod eviction;
mod flight;
#[cfg(test)]
mod flight_test;
mod init_script;
mod runtimes;
mod wait;

pub use branch_pods::BranchPods;
pub(super) use flight::Flight;
pub use runtimes::{RealRuntimes, Runtimes};
pub(super) use wait::Wait;
