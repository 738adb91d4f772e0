//! Garbage collection of one tenant: what nothing reaches, and whose attempt provably ended, is deleted.
//!
//! No age decides that an attempt ended: a publisher that was frozen for an hour may still resume and win. The only time
//! that counts is how far back a branch's history is wanted.

mod condemned;
mod error;
mod run;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use error::CollectError;

use crate::reachability::Tally;

/// Rules of a run: which history it keeps, and how fast it deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Age up to which the history of branches is kept.
    pub recovery_window: SignedDuration,
    /// Wait between saying what will be deleted and looking again whether anybody needs it. Nothing relies on it: it
    /// spares readers that hold no pin an error.
    pub grace: Duration,
    /// Most DELETEs a second.
    pub deletes_per_second: NonZeroU32,
    /// Streams of more segments than this are put into one object each when they are over.
    pub merge_above: u64,
    /// Whether to look only, and delete nothing.
    pub dry_run: bool,
}

/// [`Policy::merge_above`] where nothing else is wanted: below it an object more costs as much as it saves.
pub const MERGE_ABOVE: u64 = 16;

/// Result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// The tenant's prefix, ending in `/`.
    pub location: String,
    /// Objects that stay: reached, made by attempts that may still run, unknown, or left for the next run.
    pub kept: Tally,
    /// Objects that were deleted; in a dry run, those that would be.
    pub deleted: Tally,
    /// Keys of the deleted ones, in order, at most [`LISTED`] of them.
    pub keys: Vec<String>,
    /// The oldest moment that each branch can be read at.
    pub recoverable_from: BTreeMap<String, Timestamp>,
    /// Streams that were put into one object each; the next run deletes what they were in.
    pub merged: u64,
    /// When more of the past will be beyond the window; none while nothing but the present is kept.
    pub next_expiry: Option<Timestamp>,
    /// Whether it was a dry run, which deletes nothing.
    pub dry_run: bool,
    /// Whether more is left for the next run.
    pub more: bool,
}

/// Keys that a report lists.
pub const LISTED: usize = 1_000;
