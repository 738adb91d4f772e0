//! Ground of the end-to-end tests: a real cluster with Roost installed, its gateway, and the bucket behind it.
//!
//! The tests in `tests/` are ignored by a plain `cargo test`; `make test` brings up the cluster, installs the charts
//! and runs them. `tests/run --help` tells how to run one of them against a cluster that is left running.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]

pub mod answer;
pub mod bucket;
pub mod cluster;
pub mod ledger;
pub mod mortal;
pub mod pod;
pub mod port;
pub mod s3_proxy;
pub mod tenant;
pub mod wait;

pub use answer::Answer;
pub use cluster::Roost;
pub use ledger::Ledger;
pub use port::free_port;
pub use s3_proxy::S3Proxy;
pub use tenant::TestNamespace;
pub use wait::eventually;
