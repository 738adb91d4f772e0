//! The pod's process: claim, hydrate, serve, publish, seal, exit. docs/http-api.md describes what clients see.

pub mod admission;
pub mod config;
pub mod durability;
pub mod encode;
pub mod files;
pub mod http;
pub mod lifecycle;
pub mod limits;
pub mod metrics;
pub mod problems;
pub mod process;
pub mod query;
pub mod serving;
pub mod storage;
pub mod workers;
