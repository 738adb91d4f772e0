//! The API server: how the operator writes to it, whatever the object.

mod answers;
mod finalizers;
pub mod status;
mod steps;

pub use answers::{is_absent, is_conflict, is_refused};
pub use finalizers::{has_finalizer, set_finalizer};
pub use steps::ApiSteps;
