//! Steps: changes of the world outside, and waits of a publish, with a trace event before each and one after it.
//!
//! They show where something slow stands (`ROOST_LOG=roost::step=trace`). They are also the fail points of the tests:
//! a subscriber that ends the process at the n-th of them leaves out none.

use std::fmt::Display;

/// Target of these events. Their fields: `step`, `phase` (`before` or `after`), `subject`.
pub const TARGET: &str = "roost::step";

/// Waits for `future`, with an event before and one after. `subject` is what it is about, such as a key.
pub async fn stepped<T>(
    step: &'static str,
    subject: impl Display + Send,
    future: impl Future<Output = T>,
) -> T {
    tracing::trace!(target: TARGET, step, phase = "before", %subject);
    let result = future.await;
    tracing::trace!(target: TARGET, step, phase = "after", %subject);
    result
}
