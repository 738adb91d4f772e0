//! The bucket: its objects, what a request does to them, and what can be read from them.

use std::collections::{BTreeMap, BTreeSet};

/// A branch, which has one lineage here. `MAIN` is there from the beginning, `DEV` may be created once.
pub type Branch = u8;
/// The branch that every tenant has.
pub const MAIN: Branch = 0;
/// The branch that a pinner may create.
pub const DEV: Branch = 1;
/// Grows with every takeover of a branch.
pub type Epoch = u8;
/// Number of a manifest in its lineage.
pub type Number = u8;
/// Number of a slot in its stream; the first is 1.
pub type Sequence = u8;
/// A commit, by its place in [`crate::State::commits`].
pub type Commit = u8;

/// The stream of WAL that follows a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Its branch.
    pub branch: Branch,
    /// Epoch of the owner that writes it.
    pub epoch: Epoch,
    /// The manifest that it follows.
    pub manifest: Number,
}

/// A manifest. The random part of the name is left out: an epoch has one attempt at each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ManifestId {
    /// Its branch.
    pub branch: Branch,
    /// Epoch of the owner that wrote it.
    pub epoch: Epoch,
    /// Its number.
    pub number: Number,
}

/// A pack, named as the code names it: by the publish that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pack {
    /// The manifest that it is made for, or that follows the stream that carries it.
    pub made_for: ManifestId,
    /// The slot that carries it; none if the publish itself made it.
    pub carried_by: Option<Sequence>,
}

/// An object that garbage collection decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// A manifest; deleted before all others.
    Manifest(ManifestId),
    /// A slot of a stream.
    Slot(StreamId, Sequence),
    /// A stream that is over, in one object.
    Merged(StreamId),
    /// A pack.
    Pack(Pack),
}

/// Why something was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// A takeover, or the seal of a stream that belongs to it.
    TakeOver,
    /// A publish.
    Publish,
    /// The seal of a branch that has nothing to publish.
    Seal,
    /// A segment.
    Ship,
    /// The creation of a branch.
    Create,
    /// The deletion of a branch.
    Delete,
}

/// Identity of a write, which tells it from every other one. That of a HEAD is also its `ETag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PutId {
    /// The process.
    pub by: u8,
    /// Purpose of the write.
    pub purpose: Purpose,
    /// Epoch of the process.
    pub epoch: Epoch,
    /// Number of the manifest or slot.
    pub number: u8,
    /// Above 0 only where [`crate::Switch::NewPutId`] is on.
    pub again: u8,
}

/// A commit boundary: a manifest, and how much of the stream after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The manifest.
    pub manifest: ManifestId,
    /// The stream; none if the position is the manifest alone.
    pub end: Option<End>,
}

/// A stream up to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct End {
    /// The stream.
    pub stream: StreamId,
    /// Its last segment; 0 for none.
    pub sequence: Sequence,
}

/// The one mutable object of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Head {
    /// Identity of the write that made it.
    pub put_id: PutId,
    /// Epoch of whoever took over last.
    pub epoch: Epoch,
    /// The last publish.
    pub manifest: Option<ManifestId>,
    /// Where a branch starts that was never published.
    pub source: Option<Position>,
    /// The stream after the manifest.
    pub stream: Option<StreamId>,
    /// Whether the manifest is the whole state.
    pub sealed: bool,
    /// Whether the branch is deleted, and this only its mark.
    pub deleted: bool,
}

impl Head {
    /// Number of the last publish.
    pub fn number(&self) -> Number {
        self.manifest.map_or(0, |manifest| manifest.number)
    }

    /// The state without the stream that HEAD names: the last publish, else where the branch starts; none if empty.
    pub fn state(&self) -> Option<Position> {
        self.manifest.map(|manifest| Position { manifest, end: None }).or(self.source)
    }
}

/// The object at a number of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// One commit, and the pack that it depends on.
    Segment {
        /// Identity of the write that made it.
        put_id: PutId,
        /// The commit.
        commit: Commit,
        /// For the checker: it was put after the stream was sealed, or left by HEAD for another epoch.
        late: bool,
    },
    /// The end of the stream.
    Seal {
        /// Identity of the write that made it.
        put_id: PutId,
        /// Epoch that ended the stream.
        epoch: Epoch,
    },
}

impl Slot {
    /// Identity of the write that made it.
    pub fn put_id(&self) -> PutId {
        match self {
            Self::Segment { put_id, .. } | Self::Seal { put_id, .. } => *put_id,
        }
    }
}

/// A manifest with its pages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Manifest {
    /// The commits of the state, in their order.
    pub history: Vec<Commit>,
    /// The packs that its chunks are in.
    pub packs: BTreeSet<Pack>,
    /// The publish before, and how its stream ended.
    pub parent: Option<Position>,
}

/// All objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// The HEADs, by branch.
    pub heads: BTreeMap<Branch, Head>,
    /// The manifests, by name.
    pub manifests: BTreeMap<ManifestId, Manifest>,
    /// The slots, by stream and number.
    pub slots: BTreeMap<(StreamId, Sequence), Slot>,
    /// The commits of merged streams, by stream.
    pub merged: BTreeMap<StreamId, Vec<Commit>>,
    /// The packs.
    pub packs: BTreeSet<Pack>,
    /// The pins, by name: the position, and the process that put it.
    pub pins: BTreeMap<u8, (Position, u8)>,
    /// The lists of condemned objects, by run of the collector.
    pub condemned: BTreeMap<u8, BTreeSet<Object>>,
}

/// The pack that a slot carries.
pub fn carried(stream: StreamId, sequence: Sequence) -> Pack {
    let StreamId { branch, epoch, manifest } = stream;
    let made_for = ManifestId { branch, epoch, number: manifest + 1 };
    Pack { made_for, carried_by: Some(sequence) }
}

/// The pack that a publish makes.
pub fn packed(manifest: ManifestId) -> Pack {
    Pack { made_for: manifest, carried_by: None }
}

/// A stream, read to its end.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The commits of its segments.
    pub commits: Vec<Commit>,
    /// Number of the last segment.
    pub last: Sequence,
    /// The seals after it.
    pub seals: Vec<Epoch>,
}

impl Loaded {
    /// The first number that nothing is at.
    pub fn next(&self) -> Sequence {
        let seals = u8::try_from(self.seals.len()).unwrap_or(u8::MAX);
        self.last + seals + 1
    }
}

impl Bucket {
    /// Whether an object is there.
    pub fn exists(&self, object: &Object) -> bool {
        match object {
            Object::Manifest(id) => self.manifests.contains_key(id),
            Object::Slot(stream, sequence) => self.slots.contains_key(&(*stream, *sequence)),
            Object::Merged(stream) => self.merged.contains_key(stream),
            Object::Pack(pack) => self.packs.contains(pack),
        }
    }

    /// Deletes an object, if it is there.
    pub fn delete(&mut self, object: &Object) {
        match object {
            Object::Manifest(id) => drop(self.manifests.remove(id)),
            Object::Slot(stream, sequence) => drop(self.slots.remove(&(*stream, *sequence))),
            Object::Merged(stream) => drop(self.merged.remove(stream)),
            Object::Pack(pack) => drop(self.packs.remove(pack)),
        }
    }

    /// Every object that a collector may see.
    pub fn list(&self) -> impl Iterator<Item = Object> {
        let manifests = self.manifests.keys().map(|id| Object::Manifest(*id));
        let slots = self.slots.keys().map(|(stream, sequence)| Object::Slot(*stream, *sequence));
        let merged = self.merged.keys().map(|stream| Object::Merged(*stream));
        manifests.chain(slots).chain(merged).chain(self.packs.iter().map(|pack| Object::Pack(*pack)))
    }

    /// The slots of a stream that are there.
    pub fn stream(&self, id: StreamId) -> impl DoubleEndedIterator<Item = (Sequence, &Slot)> {
        self.slots.range((id, 0)..=(id, u8::MAX)).map(|((_, sequence), slot)| (*sequence, slot))
    }

    /// Reads a stream from its beginning; none if one of its numbers is missing, or a seal is not at its end.
    pub fn to_end(&self, id: StreamId) -> Option<Loaded> {
        let mut loaded = Loaded::default();
        for (sequence, slot) in self.stream(id) {
            if sequence != loaded.next() {
                return None;
            }
            match slot {
                Slot::Segment { .. } if !loaded.seals.is_empty() => return None,
                Slot::Segment { commit, .. } => {
                    loaded.commits.push(*commit);
                    loaded.last = sequence;
                }
                Slot::Seal { epoch, .. } => loaded.seals.push(*epoch),
            }
        }
        Some(loaded)
    }

    /// The last segment of a stream, as the code finds it: one LIST, then numbers from its length down.
    pub fn last(&self, id: StreamId) -> Option<Sequence> {
        let listed = u8::try_from(self.stream(id).count()).unwrap_or(u8::MAX);
        (1..=listed)
            .rev()
            .find(|sequence| matches!(self.slots.get(&(id, *sequence)), Some(Slot::Segment { .. })))
    }

    /// The commit at a number, from there or from the merged stream.
    pub fn segment(&self, id: StreamId, sequence: Sequence) -> Option<Commit> {
        match self.slots.get(&(id, sequence)) {
            Some(Slot::Segment { commit, .. }) => Some(*commit),
            _ => self.merged.get(&id)?.get(usize::from(sequence) - 1).copied(),
        }
    }

    /// The commits of a position; none if anything is missing that it takes to read them.
    pub fn read(&self, position: &Position) -> Option<Vec<Commit>> {
        let manifest = self.manifests.get(&position.manifest)?;
        if !manifest.packs.is_subset(&self.packs) {
            return None;
        }
        let mut history = manifest.history.clone();
        let Some(End { stream, sequence }) = position.end else { return Some(history) };
        for number in 1..=sequence {
            let commit = self.segment(stream, number)?;
            if !self.packs.contains(&carried(stream, number)) {
                return None;
            }
            history.push(commit);
        }
        Some(history)
    }

    /// The commits that an owner would find who takes the branch over now; none if it could not open it.
    pub fn recover(&self, head: &Head) -> Option<Vec<Commit>> {
        let mut position = head.state()?;
        if let Some(stream) = head.stream.filter(|_| head.manifest.is_some() && !head.sealed) {
            let sequence = self.to_end(stream)?.last;
            position.end = Some(End { stream, sequence });
        }
        self.read(&position)
    }

    /// The manifests of a branch's own lineage that are there, newest first, each with the end of its stream. HEAD's
    /// own may still grow.
    pub fn past(&self, head: &Head, most: u8) -> Vec<Position> {
        let Some(manifest) = head.manifest else { return Vec::new() };
        let growing = head.stream.filter(|_| !head.sealed).map(|stream| End { stream, sequence: u8::MAX });
        let mut chain = vec![Position { manifest, end: growing }];
        let mut manifest = manifest;
        while chain.len() <= usize::from(most)
            && let Some(parent) = self.manifests.get(&manifest).and_then(|found| found.parent)
            && parent.manifest.branch == manifest.branch
            && self.manifests.contains_key(&parent.manifest)
        {
            manifest = parent.manifest;
            chain.push(parent);
        }
        chain
    }
}
