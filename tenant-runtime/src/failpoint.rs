//! Places where a test may kill the process. Without the cargo feature `failpoints` they are nothing.

/// Kills the process, as `kill -9` would, if `ROOST_FAIL_POINT` names this place.
#[cfg(feature = "failpoints")]
pub fn fail_point(name: &str) {
    if std::env::var("ROOST_FAIL_POINT").is_ok_and(|wanted| wanted == name) {
        tracing::error!(name, "fail point reached");
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub const fn fail_point(_name: &str) {}
