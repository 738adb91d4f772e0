//! What roots reach: keys, and streams with the packs that they may carry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::format::page::ObjectName;
use crate::identity::BranchName;
use crate::position::StreamId;

/// Everything that must stay.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Objects that must be there, relative to the tenant's prefix, and who needs each first.
    needed: BTreeMap<String, Arc<str>>,
    /// The last number of each stream that belongs to what was reached.
    streams: BTreeMap<(BranchName, StreamId), u64>,
    /// Slots that keep a delayed write of an ended owner from taking effect.
    guards: BTreeSet<String>,
}

impl Reached {
    /// An object that must be there. False if it was known.
    pub(super) fn need(&mut self, relative: String, by: &Arc<str>) -> bool {
        let known = self.needed.contains_key(&relative);
        self.needed.entry(relative).or_insert_with(|| by.clone());
        !known
    }

    /// A stream up to a number.
    pub(super) fn stream(&mut self, branch: &BranchName, id: StreamId, last: u64) {
        let known = self.streams.entry((branch.clone(), id)).or_insert(last);
        *known = last.max(*known);
    }

    pub(super) fn guard(&mut self, relative: String) {
        self.guards.insert(relative);
    }

    /// Whether an object must stay. Packs of a stream are known by their names: reading every segment of a long
    /// history only to learn which of them it really carries would cost more than the few that it does not.
    pub(super) fn holds(&self, relative: &str) -> bool {
        self.needed.contains_key(relative) || self.guards.contains(relative) || self.of_stream(relative)
    }

    fn of_stream(&self, relative: &str) -> bool {
        if let Some(pack) = relative.strip_prefix("packs/") {
            return pack.parse().is_ok_and(|ObjectName { branch, lineage, epoch, manifest, .. }| {
                let id = StreamId { lineage, epoch, manifest: manifest.saturating_sub(1) };
                self.streams.contains_key(&(branch, id))
            });
        }
        let Some((branch, id, number)) = slot(relative) else { return false };
        self.streams.get(&(branch, id)).is_some_and(|last| number <= *last)
    }

    /// What must be there, in the order of the keys.
    pub(super) fn needed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.needed.iter().map(|(key, by)| (key.as_str(), by.as_ref()))
    }
}

/// Branch, stream and number of a slot's key.
pub(super) fn slot(relative: &str) -> Option<(BranchName, StreamId, u64)> {
    let (branch, rest) = relative.strip_prefix("branches/")?.split_once("/wal/")?;
    let (stream, number) = rest.split_once('/')?;
    Some((BranchName::new(branch).ok()?, stream.parse().ok()?, number.parse().ok()?))
}
