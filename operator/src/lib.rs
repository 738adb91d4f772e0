//! The operator: reconciles the kinds, and wakes tenants for the gateway.

// A Problem is what the caller gets to see; it is made once per request at most.
#![allow(clippy::result_large_err)]
#![cfg_attr(test, allow(clippy::needless_pass_by_value, clippy::type_complexity))]

mod api_steps;
pub mod branch;
pub mod class;
pub mod config;
pub mod context;
mod data_key;
pub mod elected;
mod expiry;
pub mod fault;
mod flush;
pub mod fsck;
pub mod garbage;
mod health;
mod inputs;
pub mod leader;
mod left_behind;
pub mod metrics;
pub mod pods;
pub mod process;
pub mod runtime_client;
pub mod serving;
pub mod slots;
pub mod snapshot;
mod status;
pub mod storage;
pub mod tenant;
pub mod trouble;
pub mod trust;
pub mod verdict;
pub mod wake;
pub mod wake_failure;
pub mod whereabouts;
pub mod work;
