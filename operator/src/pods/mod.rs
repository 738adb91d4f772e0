//! Runtime pods at the API server: their names and purposes, how they are built, what is read of them, how they end.

pub mod api;
pub mod build;
pub mod ending;
mod exit;
pub mod names;
mod purpose;
mod resources;
#[cfg(test)]
pub mod samples;
mod serving;
mod view;

pub use exit::Exit;
pub use purpose::{PodOf, PodTask, Purpose, TenantBranch};
pub use serving::Serving;
pub use view::{PodAddress, PodView, Stage};
