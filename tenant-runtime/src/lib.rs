//! The pod's process: claim, hydrate, serve, publish, seal, exit. docs/http-api.md describes what clients see.

#![allow(
    clippy::result_large_err,
    reason = "a problem is what the client gets, and failing is the rare path"
)]

pub mod access;
pub mod admission;
mod cache_metrics;
mod clock_check;
pub mod config;
pub mod confirmation;
pub mod damage;
pub mod database;
pub mod encode;
pub mod ending;
pub mod files;
mod group_commit;
pub mod http;
pub mod lifecycle;
pub mod limits;
pub mod metrics;
pub mod pod;
pub mod private_copy;
pub mod problems;
pub mod process;
pub mod prover;
pub mod publisher;
pub mod put_budget;
pub mod replay;
pub mod replay_check;
pub mod serving;
pub mod shipper;
pub mod site;
pub mod standalone;
pub mod storage;
pub mod tenant;
pub mod worker;
