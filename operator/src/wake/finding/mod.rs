//! Finding what a key names: the objects, whether they may be woken, and all that a wake needs to know of them.

mod facts;
mod lookup;
mod objects;
mod target;

pub(super) use objects::{branch, tenant};
pub use target::{Target, Targets};
