//! The gateway between real servers on loopback: a scripted operator and scripted runtimes over real TLS, and a
//! scripted Kubernetes API.

mod auth;
mod client;
mod following;
mod harness;
mod kubernetes;
mod peer;
mod proxying;
mod serving;
mod streaming;
mod waking;
