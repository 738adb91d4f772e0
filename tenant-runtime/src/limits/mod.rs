//! Memory and CPUs of the pod, and how they are shared between the engine and our own buffers.

mod cgroup;
mod sizing;

pub use cgroup::{Allowance, read_allowance};
pub use sizing::{Sizing, SizingError, parse_bytes, size};
