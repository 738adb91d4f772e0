//! Reports of a runtime on itself: while it lives, and as its last words.

use crate::{position::Position, report::Report, time::UnixMillis};
use serde::{Deserialize, Serialize};

/// State of a runtime pod; it only moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RuntimeState {
    /// Waits for a grant.
    Pooled,
    /// Has its grant; nothing read yet.
    Claimed,
    /// Takes over and reads the database.
    Hydrating,
    /// Answers queries.
    Serving,
    /// Refuses new requests, finishes and publishes.
    Draining,
    /// The last state is in the bucket; the process ends.
    Sealed,
    /// Another owner took the branch; the process ends.
    Fenced,
    /// Gave up; the process ends.
    Failed,
}

/// Answer to a grant or a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeStatus {
    /// [`crate::PROTOCOL_VERSION`] of the runtime.
    pub version: u16,
    /// Its state.
    pub state: RuntimeState,
    /// Last published position; none before the first.
    pub position: Option<Position>,
    /// Size of the database file, in bytes.
    pub database_size: u64,
    /// Age of the oldest commit that is not published yet, in milliseconds; 0 when all is.
    pub durable_lag_millis: u64,
    /// When something was last asked of it.
    pub last_active: UnixMillis,
    /// Requests that run now.
    pub running: u32,
}

/// Exit code after a seal.
pub const EXIT_SEALED: u8 = 0;
/// Exit code when another owner has the branch.
pub const EXIT_FENCED: u8 = 21;
/// Exit code when the runtime gave up.
pub const EXIT_FAILED: u8 = 22;

/// Last words of a runtime or worker pod, written as the container's termination message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// Sealed, Fenced or Failed; Hydrating if the process died while it replayed a WAL, and `problem` is what to say if
    /// the replay is what it died of.
    pub state: RuntimeState,
    /// Last published position.
    pub position: Option<Position>,
    /// Size of the database file, in bytes.
    pub database_size: Option<u64>,
    /// When something was last asked of it.
    pub last_active: Option<UnixMillis>,
    /// Why it ended, when that was not a seal.
    pub problem: Option<crate::problem::Problem>,
    /// A worker's report on what it has done.
    #[serde(flatten)]
    pub report: Option<Report>,
}
