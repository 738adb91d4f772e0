//! Speaking to runtime pods: orders and grants, signed, over TLS.

pub mod calls;
pub mod client;
pub mod grant;
pub mod settings;

pub use client::CallError;
