//! Everything that roots reach: keys, and streams with the packs that they may carry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::format::name::ObjectName;
use crate::identity::{BranchName, Lineage};
use crate::position::{Position, StreamId};

/// Everything that must stay.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Objects that must be there, relative to the tenant's prefix, and who needs each first.
    needed: BTreeMap<String, Arc<str>>,
    /// Packs of states between the ends of a branch's past, and who needs each.
    between: BTreeMap<String, Arc<str>>,
    /// Manifests whose streams stay, of whichever epoch: branch, lineage and number. All of a stream stays or none of it:
    /// whoever pins a position looks only whether its manifest stays.
    followed: BTreeSet<(BranchName, Lineage, u64)>,
    /// Slots that keep a delayed write of an ended owner from taking effect.
    guards: BTreeSet<String>,
    /// Streams that were put into one object, from which slots that are missing are read.
    merged: BTreeSet<(BranchName, StreamId)>,
    /// Streams whose ends are recorded. Once they are merged, of their slots only the guards are needed.
    over: BTreeSet<(BranchName, StreamId)>,
}

impl Reached {
    /// An object that must be there. False if it was known.
    pub(super) fn need(&mut self, relative: String, by: &Arc<str>) -> bool {
        let known = self.needed.contains_key(&relative);
        self.needed.entry(relative).or_insert_with(|| by.clone());
        !known
    }

    /// A pack of a state between the ends.
    pub(super) fn need_between(&mut self, relative: String, by: &Arc<str>) {
        self.between.entry(relative).or_insert_with(|| by.clone());
    }

    /// To be called when all ends are known: takes the packs in between in, and returns those that a walk that reads only
    /// the ends would not know of.
    pub(super) fn settle(&mut self) -> Vec<(String, Arc<str>)> {
        let between = std::mem::take(&mut self.between);
        let unknown = between.iter().filter(|(pack, _)| !self.follows(pack));
        let unknown: Vec<_> = unknown.map(|(pack, by)| (pack.clone(), by.clone())).collect();
        for (pack, by) in between {
            self.need(pack, &by);
        }
        unknown
    }

    /// The streams that follow a manifest.
    pub(super) fn follow(&mut self, manifest: &Position) {
        self.followed.insert((manifest.branch.clone(), manifest.lineage, manifest.manifest));
    }

    pub(super) fn guard(&mut self, relative: String) {
        self.guards.insert(relative);
    }

    /// A stream of the past, whose end is recorded.
    pub(super) fn is_over(&mut self, branch: BranchName, stream: StreamId) {
        self.over.insert((branch, stream));
    }

    /// Whether all slots of a stream stay.
    pub(super) fn keeps(&self, stream: &(BranchName, StreamId)) -> bool {
        self.is_followed(stream) && !self.is_replaceable(stream)
    }

    /// Notes that a stream's merged object is there.
    pub(super) fn is_merged(&mut self, branch: BranchName, stream: StreamId) {
        self.merged.insert((branch, stream));
    }

    /// Whether a stream's merged object is there.
    pub(super) fn has_merged(&self, stream: &(BranchName, StreamId)) -> bool {
        self.merged.contains(stream)
    }

    fn in_merged(&self, relative: &str) -> bool {
        slot(relative).is_some_and(|(branch, stream, _)| self.merged.contains(&(branch, stream)))
    }

    fn in_replaceable(&self, relative: &str) -> bool {
        slot(relative).is_some_and(|(branch, stream, _)| self.is_replaceable(&(branch, stream)))
    }

    fn is_replaceable(&self, stream: &(BranchName, StreamId)) -> bool {
        self.merged.contains(stream) && self.over.contains(stream)
    }

    /// Whether an object must stay. Packs of a stream are known by their names: reading every segment of a long
    /// history only to learn which of them it really carries would cost more than the few that it does not.
    pub(super) fn holds(&self, relative: &str) -> bool {
        self.guards.contains(relative) || (self.follows(relative) && !self.in_replaceable(relative))
    }

    /// Whether an object would have to stay, were it not for a merged one.
    pub(super) fn is_replaced(&self, relative: &str) -> bool {
        !self.guards.contains(relative) && self.follows(relative) && self.in_replaceable(relative)
    }

    fn follows(&self, relative: &str) -> bool {
        self.needed.contains_key(relative) || self.of_stream(relative)
    }

    fn of_stream(&self, relative: &str) -> bool {
        if let Some(pack) = relative.strip_prefix("packs/") {
            return pack.parse().is_ok_and(|ObjectName { branch, lineage, manifest, .. }| {
                self.followed.contains(&(branch, lineage, manifest.saturating_sub(1)))
            });
        }
        let of_slot = || slot(relative).map(|(branch, id, _)| (branch, id));
        merged(relative).or_else(of_slot).is_some_and(|stream| self.is_followed(&stream))
    }

    fn is_followed(&self, (branch, stream): &(BranchName, StreamId)) -> bool {
        self.followed.contains(&(branch.clone(), stream.lineage, stream.manifest))
    }

    /// Keys of the objects that must be there, in order, and who needs each.
    pub(super) fn needed(&self) -> impl Iterator<Item = (&str, &str)> {
        let needed = self.needed.iter().filter(|(key, _)| !self.in_merged(key));
        needed.map(|(key, by)| (key.as_str(), by.as_ref()))
    }
}

/// Branch and stream of a merged stream's key.
pub(super) fn merged(relative: &str) -> Option<(BranchName, StreamId)> {
    let (branch, stream) = relative.strip_prefix("branches/")?.split_once("/merged/")?;
    Some((BranchName::new(branch).ok()?, stream.parse().ok()?))
}

/// Branch, stream and number of a slot's key.
pub(crate) fn slot(relative: &str) -> Option<(BranchName, StreamId, u64)> {
    let (branch, rest) = relative.strip_prefix("branches/")?.split_once("/wal/")?;
    let (stream, number) = rest.split_once('/')?;
    Some((BranchName::new(branch).ok()?, stream.parse().ok()?, number.parse().ok()?))
}
