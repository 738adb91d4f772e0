//! The one path of every query, whatever protocol asks: who may, what is under way, what is proven before anything is told,
//! and what an answer waits for. It knows no HTTP.
//!
//! A query is authorized ([`access`]), admitted ([`crate::admission`]), run in a session of the engine ([`service`]), and read batch
//! by batch, each of which leaves with a fresh proof that the branch is still ours; its end waits until what it tells is
//! durable ([`answer`], [`confirmation`]), and so does each piece of bytes that a protocol makes of it ([`outgoing`]).

pub mod access;
mod accounting;
pub mod answer;
pub mod confirmation;
pub mod connection;
pub mod outgoing;
pub mod service;
