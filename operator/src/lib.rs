//! The operator: reconciles the kinds, and wakes tenants for the gateway.

#![cfg_attr(test, allow(clippy::needless_pass_by_value, clippy::type_complexity))]

pub mod branch;
pub mod class;
mod command_output;
pub mod config;
pub mod context;
pub mod fsck;
pub mod garbage;
mod health;
mod jobs;
mod kubernetes;
pub mod leader;
pub mod metrics;
pub mod pod_lifecycle;
pub mod pods;
pub mod process;
pub mod reasons;
pub mod reconcile;
pub mod runtime;
mod served;
pub mod slots;
pub mod snapshot;
pub mod storage;
pub mod tenant;
pub mod trust;
pub mod wake;
