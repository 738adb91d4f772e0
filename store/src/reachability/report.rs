//! The report of a walk.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::Standing;
use crate::identity::{BranchName, Owner};
use crate::position::{StreamEnd, StreamId};

/// Number of objects, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Objects.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An object that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Its key in the bucket.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its standing.
    #[serde(flatten)]
    pub standing: Standing,
}

/// Something that must be there and is missing or not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The branch, pin or snapshot that needs it.
    pub needed_by: String,
    /// Account of what is wrong, with the key.
    pub problem: String,
}

/// A stream that is over, of a branch's kept history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastStream {
    /// The branch.
    pub branch: BranchName,
    /// Where it ended.
    pub end: StreamEnd,
    /// Bytes of the slots that are there.
    pub slots: u64,
    /// Whether it was put into one object.
    pub is_merged: bool,
}

impl PastStream {
    pub(super) fn new(branch: BranchName, end: StreamEnd) -> Self {
        Self { branch, end, slots: 0, is_merged: false }
    }
}

/// Report on all objects under a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The prefix, ending in `/`.
    pub location: String,
    /// Whose data it is; none without a `tenant.json`.
    pub owner: Option<Owner>,
    /// Name of the class's key that wraps the tenant's data key; none if it is not encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// Branches with a HEAD.
    pub branches: Vec<String>,
    /// The oldest moment that each of them that was ever published can be read at.
    pub recoverable_from: BTreeMap<String, Timestamp>,
    /// When the oldest kept state of any of them was followed by another one; none if each has only one.
    #[serde(skip)]
    pub next_past: Option<Timestamp>,
    /// The streams of their history that are over.
    #[serde(skip)]
    pub streams: Vec<PastStream>,
    /// Streams of which slots are there whose place a merged object took.
    #[serde(skip)]
    pub replaced: BTreeSet<(BranchName, StreamId)>,
    /// Objects that HEADs, their history, pins and snapshots reach, and these themselves.
    pub reachable: Tally,
    /// Objects that provably ended attempts left behind.
    pub ended: Tally,
    /// Objects that a writer may still refer to.
    pub under_way: Tally,
    /// Objects that Roost does not know.
    pub unknown: Tally,
    /// Everything that is not reachable, in the order of the keys.
    pub leftovers: Vec<Leftover>,
    /// Chunks that were read and checked, and the bytes that were read; none if names were enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Tally>,
    /// Everything that is missing or damaged. Empty: every state that can be opened is whole, as far as it was read.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(location: &str) -> Self {
        Self {
            location: location.to_owned(),
            owner: None,
            encryption_key: None,
            branches: Vec::new(),
            recoverable_from: BTreeMap::new(),
            next_past: None,
            streams: Vec::new(),
            replaced: BTreeSet::new(),
            reachable: Tally::default(),
            ended: Tally::default(),
            under_way: Tally::default(),
            unknown: Tally::default(),
            leftovers: Vec::new(),
            verified: None,
            findings: Vec::new(),
        }
    }

    /// Counts an object; without a standing it is reachable.
    pub(super) fn add(&mut self, key: &str, size: u64, standing: Option<Standing>) {
        let tally = match standing {
            None => &mut self.reachable,
            Some(Standing::Ended(_)) => &mut self.ended,
            Some(Standing::UnderWay(_)) => &mut self.under_way,
            Some(Standing::Unknown(_)) => &mut self.unknown,
        };
        tally.count += 1;
        tally.bytes += size;
        self.leftovers.extend(standing.map(|standing| Leftover { key: key.to_owned(), size, standing }));
    }

    /// Whether there is no object at all.
    pub fn is_empty(&self) -> bool {
        self.reachable.count == 0 && self.leftovers.is_empty() && self.findings.is_empty()
    }

    /// Whether nothing is wrong: no finding, and no object that Roost does not know.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.unknown.count == 0
    }
}
