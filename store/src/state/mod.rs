//! A position of a branch as it is read: its manifest, its pages, its WAL, and its chunks.

mod loaded;
mod manifest;
mod pages;
mod runs;

pub use runs::MAX_RANGE_BYTES;

pub(crate) use loaded::{LoadedState, LoadedWal, Placed, load};
pub(crate) use manifest::load_manifest;
pub(crate) use pages::{Pages, load_page};
pub(crate) use runs::{Restored, Run, fetch, inline_chunks, plan_runs};
