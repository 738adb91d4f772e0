//! The files that DuckDB sees under `roost://`: one database file with its WAL, in the pod's cache folder.
//!
//! The disk is a cache: nothing is fsynced, and what counts is only what is in the bucket. What this file system adds
//! is a record of which chunks were written, of the commits in the WAL, and of what each of them depends on. The interlock in
//! front of it (each file opens only as the storage manager opens it, headers change and WALs go only within our
//! own checkpoint) is the engine layer's.

mod changes;
pub mod damage;
mod local;
mod main_file;
mod vfs;
mod wal;

pub use changes::{Taken, Uncut, Unpublished};
pub use local::{Access, Checkpoint, LocalFiles, MAIN_PATH};
