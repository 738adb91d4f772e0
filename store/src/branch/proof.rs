//! Evidence of ownership.

use std::time::Duration;

/// Evidence that HEAD still named this owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proof {
    /// [`crate::environment::Clock::monotonic`] when the question was sent: what the proof counts from.
    pub sent: Duration,
}
