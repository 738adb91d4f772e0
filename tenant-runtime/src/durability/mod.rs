//! Durability of commits: shipped as WAL, together where that is cheaper, and published as a manifest.

pub mod clock_check;
pub mod database;
mod group_commit;
pub mod publisher;
pub mod put_budget;
pub mod replay_failure;
pub mod shipper;
