//! The operator as the gateway's source of pods: which of its replicas to ask, and asking it over HTTP.

mod client;
mod replicas;

pub use client::Operator;
pub use replicas::{EndpointsReceiver, follow as follow_endpoints};
