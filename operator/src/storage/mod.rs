//! Buckets: where a tenant's data is, how its bucket is reached, and the key of what is encrypted there.

mod buckets;
mod data_key;
mod error;
pub mod location;
mod place;
pub mod position;
mod tenant;

pub use buckets::Buckets;
pub use error::{OpenError, StepError};
pub use place::Place;
