//! The one place that reads the wall clock; what only measures durations uses tokio's clock, which tests can own.

use roost_protocol::time::UnixMillis;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The present moment.
#[allow(clippy::disallowed_methods, reason = "the gateway's clock")]
pub fn now() -> UnixMillis {
    UnixMillis(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
}
