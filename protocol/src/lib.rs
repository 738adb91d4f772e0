//! The messages between Roost's processes: wakes, grants, session tokens, commands, the query API and the
//! tables of its operations and public errors. No I/O, no clock: whoever calls passes the time in.

pub mod branch_key;
pub mod command;
pub mod durability;
pub mod duration;
pub mod grant;
pub mod identity;
pub mod names;
pub mod position;
pub mod problem;
pub mod query;
pub mod report;
pub mod routes;
pub mod secret;
pub mod session;
pub mod signing;
pub mod status;
pub mod time;
pub mod wake;

pub use branch_key::BranchKey;
pub use position::Position;

/// Version of the internal protocols. A process accepts its own, the one before and the one after.
pub const PROTOCOL_VERSION: u16 = 1;

/// Whether a peer that speaks `version` can be understood.
pub const fn is_compatible(version: u16) -> bool {
    version.abs_diff(PROTOCOL_VERSION) <= 1
}
