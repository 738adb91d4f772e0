//! Garbage collection: look, condemn, look again, delete; and merging streams that are over.

use std::collections::{BTreeMap, BTreeSet};

use crate::bucket::{
    Branch, Bucket, End, Head, ManifestId, Number, Object, Pack, Position, Sequence, Slot, StreamId,
};
use crate::{State, StoreModel, Switch};

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Collector {
    /// It has not begun.
    Idle,
    /// It knows what to condemn, and which lists were there before.
    Looked(BTreeSet<Object>, BTreeSet<u8>),
    /// Its list is written.
    Condemned(BTreeSet<Object>, BTreeSet<u8>),
    /// It read the pins again, and did not read the HEADs yet.
    ReadPins(BTreeSet<Object>, BTreeSet<u8>, Vec<Position>),
    /// It deletes what is left.
    Deleting(BTreeSet<Object>, BTreeSet<u8>),
    /// It ended; whether it had deleted anything.
    Done(bool),
}

/// The objects that must stay.
#[derive(Debug, Default)]
struct Reached {
    needed: BTreeSet<Object>,
    /// The last number of each stream of which everything is kept, by name.
    streams: BTreeMap<StreamId, Sequence>,
    /// The manifests whose streams are kept, whatever their epochs.
    followed: BTreeSet<(Branch, Number)>,
    /// Slots that keep a late write from taking effect.
    guards: BTreeSet<Object>,
    /// Streams of whose slots only the guards are needed.
    merged: BTreeSet<StreamId>,
}

impl Reached {
    /// A manifest, and what its name says of streams and packs.
    fn manifest(&mut self, id: ManifestId) {
        self.needed.insert(Object::Manifest(id));
        self.followed.insert((id.branch, id.number));
    }

    fn stream(&mut self, End { stream, sequence }: End) {
        let last = self.streams.entry(stream).or_insert(sequence);
        *last = sequence.max(*last);
    }

    fn holds(&self, model: &StoreModel, object: Object) -> bool {
        let followed =
            |branch, number| !model.on(Switch::KeepPartOfStream) && self.followed.contains(&(branch, number));
        if self.in_merged(object) {
            return self.guards.contains(&object) && !model.on(Switch::MergeGuards);
        }
        self.needed.contains(&object)
            || self.guards.contains(&object)
            || match object {
                Object::Manifest(_) => false,
                Object::Slot(stream, sequence) => {
                    followed(stream.branch, stream.manifest)
                        || self.streams.get(&stream).is_some_and(|last| sequence <= *last)
                }
                Object::Merged(stream) => {
                    followed(stream.branch, stream.manifest) || self.streams.contains_key(&stream)
                }
                Object::Pack(pack) => {
                    let stream = stream_of(pack);
                    !model.on(Switch::ForgetStreamPacks)
                        && (followed(stream.branch, stream.manifest) || self.streams.contains_key(&stream))
                }
            }
    }
}

impl Reached {
    fn in_merged(&self, object: Object) -> bool {
        matches!(object, Object::Slot(stream, _) if self.merged.contains(&stream))
    }
}

/// The stream that may have carried a pack, by its name.
fn stream_of(pack: Pack) -> StreamId {
    let ManifestId { branch, epoch, number } = pack.made_for;
    StreamId { branch, epoch, manifest: number.saturating_sub(1) }
}

impl StoreModel {
    fn reached(&self, bucket: &Bucket, pins: &[Position], heads: &BTreeMap<Branch, Head>) -> Reached {
        let mut reached = Reached::default();
        let states = heads.values().filter_map(Head::state);
        for position in states.chain(pins.iter().copied()) {
            self.reach(bucket, &mut reached, position.manifest);
            if let Some(end) = position.end.filter(|end| end.sequence > 0) {
                reached.stream(end);
                reached.needed.extend((1..=end.sequence).map(|number| Object::Slot(end.stream, number)));
            }
        }
        for head in heads.values() {
            let past = bucket.past(head, self.window);
            // Of the states in between the pages are not read.
            if let Some(oldest) = past.last().filter(|_| !self.on(Switch::ForgetOldestPages)) {
                self.reach(bucket, &mut reached, oldest.manifest);
            }
            for past in past {
                reached.manifest(past.manifest);
                past.end.into_iter().for_each(|end| reached.stream(end));
            }
        }
        self.guard(bucket, &mut reached);
        reached.merged.extend(bucket.merged.keys());
        reached
    }

    fn reach(&self, bucket: &Bucket, reached: &mut Reached, id: ManifestId) {
        reached.manifest(id);
        let packs = bucket.manifests.get(&id).map(|manifest| &manifest.packs).into_iter().flatten();
        let named = packs.filter(|pack| pack.carried_by.is_none() || !self.on(Switch::DropCarriedPacks));
        reached.needed.extend(named.map(|pack| Object::Pack(*pack)));
    }

    /// Keeps the seals of every stream and the segment before them.
    fn guard(&self, bucket: &Bucket, reached: &mut Reached) {
        let streams: BTreeSet<_> = bucket.slots.keys().map(|(stream, _)| *stream).collect();
        for id in streams {
            let mut sealed = false;
            for (sequence, slot) in bucket.stream(id).rev() {
                let seal = matches!(slot, Slot::Seal { .. });
                sealed |= seal;
                let dropped = if seal { Switch::CollectSeals } else { Switch::CollectBeforeSeal };
                if sealed && !self.on(dropped) {
                    reached.guards.insert(Object::Slot(id, sequence));
                }
                if !seal {
                    break;
                }
            }
        }
    }

    /// Whether the attempt that made an object provably ended.
    fn ended(&self, heads: &BTreeMap<Branch, Head>, object: Object) -> bool {
        let (branch, epoch, number, stream) = match object {
            Object::Manifest(ManifestId { branch, epoch, number }) => (branch, epoch, number, None),
            Object::Pack(pack) => {
                let ManifestId { branch, epoch, number } = pack.made_for;
                (branch, epoch, number, Some(stream_of(pack)))
            }
            Object::Slot(stream, _) | Object::Merged(stream) => {
                (stream.branch, stream.epoch, stream.manifest + 1, Some(stream))
            }
        };
        let Some(head) = heads.get(&branch) else { return true };
        if self.on(Switch::CollectByAge) {
            return true;
        }
        let named = stream.is_some() && head.stream == stream && !head.sealed;
        if named && !self.on(Switch::EpochEndsStream) {
            return false;
        }
        epoch < head.epoch || (epoch == head.epoch && (head.sealed || number <= head.number()))
    }

    /// Finds the garbage if these are the roots; none if something that is needed is missing.
    fn to_delete(
        &self,
        bucket: &Bucket,
        pins: &[Position],
        heads: &BTreeMap<Branch, Head>,
    ) -> Option<BTreeSet<Object>> {
        let reached = self.reached(bucket, pins, heads);
        if !reached.needed.iter().all(|object| bucket.exists(object) || reached.in_merged(*object)) {
            return None;
        }
        let garbage =
            bucket.list().filter(|object| !reached.holds(self, *object) && self.ended(heads, *object));
        Some(garbage.collect())
    }

    /// The streams that can be merged: of manifests in the window, and over.
    pub(crate) fn mergeable(&self, bucket: &Bucket) -> Vec<End> {
        if !self.merging {
            return Vec::new();
        }
        let past = heads(bucket).into_values().flat_map(|head| bucket.past(&head, self.window));
        let ends = past.filter_map(|past| past.end).filter_map(|end| match end.sequence {
            // HEAD names it.
            u8::MAX if self.on(Switch::MergeOpen) => {
                let sequence = bucket.last(end.stream)?;
                Some(End { sequence, ..end })
            }
            u8::MAX => None,
            _ => Some(end),
        });
        let long = ends.filter(|end| end.sequence > 0 && !bucket.merged.contains_key(&end.stream));
        long.filter(|end| (1..=end.sequence).all(|number| bucket.segment(end.stream, number).is_some()))
            .collect()
    }

    /// Puts a stream into one object.
    pub(crate) fn merge(&self, state: &mut State, End { stream, sequence }: End) {
        let bucket = &mut state.bucket;
        // What nobody reads might as well hold nothing.
        let read = if self.on(Switch::IgnoreMerged) { 0 } else { sequence };
        let commits = (1..=read).filter_map(|number| bucket.segment(stream, number)).collect();
        bucket.merged.insert(stream, commits);
    }

    /// Whether a run can begin or go on: there must be something to collect.
    pub(crate) fn may_collect(&self, state: &State, i: usize) -> bool {
        match &state.collectors[i] {
            Collector::Idle => {
                let first = !state.collectors[..i].contains(&Collector::Idle);
                let to_delete = || self.to_delete(&state.bucket, &pins(&state.bucket), &heads(&state.bucket));
                first && to_delete().is_some_and(|to_delete| !to_delete.is_empty())
            }
            Collector::Done(_) => false,
            _ => true,
        }
    }

    /// The next step of a run.
    pub(crate) fn collect(&self, state: &mut State, i: usize) {
        let run = u8::try_from(i).unwrap_or(u8::MAX);
        let bucket = &mut state.bucket;
        let next = match std::mem::replace(&mut state.collectors[i], Collector::Idle) {
            Collector::Idle => match self.to_delete(bucket, &pins(bucket), &heads(bucket)) {
                Some(to_delete) => Collector::Looked(to_delete, bucket.condemned.keys().copied().collect()),
                None => Collector::Done(false),
            },
            Collector::Looked(to_delete, earlier) => {
                bucket.condemned.insert(run, to_delete.clone());
                Collector::Condemned(to_delete, earlier)
            }
            Collector::Condemned(to_delete, earlier) if self.on(Switch::LookOnce) => {
                Collector::Deleting(to_delete, earlier)
            }
            Collector::Condemned(to_delete, earlier) => Collector::ReadPins(to_delete, earlier, pins(bucket)),
            Collector::ReadPins(mut to_delete, earlier, pins) => {
                let heads = heads(bucket);
                if let Some(still) = self.to_delete(bucket, &pins, &heads) {
                    to_delete.retain(|object| still.contains(object));
                    if self.on(Switch::RemoveListsInUse) {
                        let reached = self.reached(bucket, &pins, &heads);
                        bucket.condemned.retain(|other, list| {
                            *other == run || !list.iter().all(|object| reached.holds(self, *object))
                        });
                    }
                    Collector::Deleting(to_delete, earlier)
                } else {
                    bucket.condemned.remove(&run);
                    Collector::Done(false)
                }
            }
            Collector::Deleting(mut to_delete, earlier) => {
                if let Some(object) = to_delete.pop_first() {
                    bucket.delete(&object);
                    Collector::Deleting(to_delete, earlier)
                } else {
                    let left: BTreeSet<_> = bucket.list().collect();
                    bucket.condemned.retain(|other, list| {
                        *other != run && !(earlier.contains(other) && list.is_disjoint(&left))
                    });
                    Collector::Done(true)
                }
            }
            done @ Collector::Done(_) => done,
        };
        state.collectors[i] = next;
    }
}

fn pins(bucket: &Bucket) -> Vec<Position> {
    bucket.pins.values().map(|(position, _)| *position).collect()
}

fn heads(bucket: &Bucket) -> BTreeMap<Branch, Head> {
    bucket.heads.iter().filter(|(_, head)| !head.deleted).map(|(branch, head)| (*branch, *head)).collect()
}
