//! The operator: reconciles the kinds, and wakes tenants for the gateway.

pub mod class;
pub mod config;
pub mod metrics;
pub mod pods;
pub mod runtime_client;
pub mod slots;
pub mod trust;
pub mod wake;
