//! Tasks of pods that serve nobody: each reads a position of a branch in a copy of its own, and touches no HEAD. Another kind of job
//! is another file here, and another task of a grant.

pub mod private_copy;
pub mod replay_check;
pub mod snapshot;
