//! Listening, dialling and stopping of Roost's programs: one accept loop for every protocol, HTTP on top of it, TLS
//! whose certificate can be replaced while it serves, problems as HTTP answers, the port of probes, and signals.

pub mod accept;
#[cfg(feature = "dial")]
pub mod dial;
pub mod health;
pub mod http;
pub mod keepalive;
pub mod problem;
pub mod signals;
pub mod tls;
