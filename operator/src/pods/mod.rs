//! Runtime pods: their names, how they are built, what is read of them, how they end.

pub mod api;
pub mod build;
pub mod calls;
pub mod ending;
pub mod lifecycle;
pub mod names;
#[cfg(test)]
pub mod samples;
pub mod view;

pub use view::{PodView, Stage};
