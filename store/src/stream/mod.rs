//! The WAL of a branch in the bucket: what the next segment takes, reading a stream, and sealing one that another
//! owner left. [`crate::OwnedBranch::ship`] writes it.

mod end;
mod loaded;
mod merge;
mod merged;
mod read;
mod seal;
mod tail;

pub use tail::{Cut, Lsn, Replay, Tail, TailError};

pub(crate) use end::End;
pub(crate) use loaded::LoadedStream;
pub(crate) use merge::merge;
pub(crate) use merged::check as check_merged;
pub(crate) use read::{last, segment, segments, to_end, up_to};
pub(crate) use seal::{SealError, seal};
