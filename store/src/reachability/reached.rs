//! What roots reach: keys, and streams with the packs that they may carry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::format::page::ObjectName;
use crate::identity::{BranchName, Lineage};
use crate::position::{Position, StreamId};

/// Everything that must stay.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Objects that must be there, relative to the tenant's prefix, and who needs each first.
    needed: BTreeMap<String, Arc<str>>,
    /// Manifests whose streams stay, of whichever epoch: branch, lineage and number. All of a stream stays or none of it:
    /// who pins a position looks only whether its manifest stays.
    followed: BTreeSet<(BranchName, Lineage, u64)>,
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

    /// The streams that follow a manifest.
    pub(super) fn follow(&mut self, manifest: &Position) {
        self.followed.insert((manifest.branch.clone(), manifest.lineage, manifest.manifest));
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
            return pack.parse().is_ok_and(|ObjectName { branch, lineage, manifest, .. }| {
                self.followed.contains(&(branch, lineage, manifest.saturating_sub(1)))
            });
        }
        let Some((branch, id, _)) = slot(relative) else { return false };
        self.followed.contains(&(branch, id.lineage, id.manifest))
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
