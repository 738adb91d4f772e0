//! The API server: how the operator writes to it, whatever the object.

mod finalizers;
pub mod status;
mod steps;

pub use finalizers::{has_finalizer, set_finalizer};
pub use steps::ApiSteps;
