//! Processes that pin positions of main: readers, and creators of a branch; and the deletion of that branch.

use std::collections::btree_map::Entry;

use crate::bucket::{
    Bucket, Commit, DEV, End, Epoch, Head, MAIN, Object, Position, Purpose, PutId, Slot, StreamId,
};
use crate::request::Request;
use crate::{State, StoreModel, Switch};

/// Purpose of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// To read the last commit that is durable.
    Latest,
    /// To read the oldest moment that can still be found.
    Past,
    /// To create a branch from the last commit that is durable.
    Branch,
}

/// Progress of a pinner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pinner {
    /// It has not begun.
    Idle,
    /// It read HEAD. The commits that were acknowledged then must be in what it finds.
    Asked(Head, Vec<Commit>),
    /// It knows which position it wants.
    Resolved(Position, Vec<Commit>),
    /// Its pin is there.
    Put(Position, Vec<Commit>),
    /// No list of condemned objects has its manifest.
    NotCondemned(Position, Vec<Commit>),
    /// The pin is a promise.
    Promised(Position, Vec<Commit>),
    /// The pin must go.
    GivenUp,
    /// It ended, and its pin is gone.
    Done,
    /// It ended, and its pin stays with the branch.
    Created,
}

/// Progress of the deletion of the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deleter {
    /// Nobody asked for it.
    Idle,
    /// HEAD says that the branch is deleted. Its stream is to be sealed.
    Fenced(Option<(StreamId, Epoch)>),
    /// Its pins are to be removed.
    Sealed,
    /// It is deleted.
    Done,
}

impl StoreModel {
    fn pin_name(&self, i: usize) -> u8 {
        if self.on(Switch::SharedPinName) { 0 } else { number(i) }
    }

    /// Whether a pinner can begin or go on.
    pub(crate) fn may_pin(&self, state: &State, i: usize) -> bool {
        match &state.pinners[i] {
            // Of those that do the same, the first one that has not begun stands for all of them.
            Pinner::Idle => !(0..i)
                .any(|other| self.pinners[other] == self.pinners[i] && state.pinners[other] == Pinner::Idle),
            Pinner::Done | Pinner::Created => false,
            _ => true,
        }
    }

    /// Whether the last request of a pinner can be late, or arrive twice.
    pub(crate) fn may_pin_late(&self, state: &State, i: usize) -> bool {
        let late = match &state.pinners[i] {
            Pinner::Promised(..) => self.pinners[i] == Kind::Branch,
            Pinner::GivenUp => self.on(Switch::SharedPinName),
            _ => false,
        };
        late && state.faults > 0
    }

    /// The next step of a pinner.
    pub(crate) fn pin(&self, state: &mut State, i: usize) {
        let name = self.pin_name(i);
        let bucket = &mut state.bucket;
        let next = match std::mem::replace(&mut state.pinners[i], Pinner::Idle) {
            Pinner::Idle => match bucket.heads.get(&MAIN) {
                Some(head) => {
                    let known = state.commits.iter().enumerate();
                    let known = known.filter(|(_, commit)| commit.branch == MAIN && commit.acknowledged);
                    let latest = self.pinners[i] != Kind::Past;
                    Pinner::Asked(*head, known.filter(|_| latest).map(|(commit, _)| number(commit)).collect())
                }
                None => Pinner::Done,
            },
            // It looked at a stream that may be over by now, and merged: once more.
            Pinner::Asked(head, known)
                if bucket.heads.get(&MAIN).is_some_and(|now| moved(&head, now))
                    && !self.on(Switch::TrustFirstHead) =>
            {
                bucket.heads.get(&MAIN).map_or(Pinner::Done, |now| Pinner::Asked(*now, known))
            }
            Pinner::Asked(head, known) => {
                let found = match self.pinners[i] {
                    Kind::Past => oldest(bucket, &head),
                    Kind::Latest | Kind::Branch => last_durable(bucket, &head),
                };
                let early = self.on(Switch::CondemnedBeforePin);
                let found = found.filter(|position| !(early && is_condemned(bucket, *position)));
                found.map_or(Pinner::Done, |position| Pinner::Resolved(position, known))
            }
            Pinner::Resolved(position, known) => match bucket.pins.entry(name) {
                Entry::Occupied(_) => Pinner::Done,
                Entry::Vacant(place) => {
                    place.insert((position, number(i)));
                    Pinner::Put(position, known)
                }
            },
            Pinner::Put(position, known) => {
                let ignored = self.on(Switch::IgnoreCondemned) || self.on(Switch::CondemnedBeforePin);
                if is_condemned(bucket, position) && !ignored {
                    Pinner::GivenUp
                } else {
                    Pinner::NotCondemned(position, known)
                }
            }
            Pinner::NotCondemned(position, known) => {
                if bucket.manifests.contains_key(&position.manifest) || self.on(Switch::IgnoreExpired) {
                    Pinner::Promised(position, known)
                } else {
                    Pinner::GivenUp
                }
            }
            Pinner::Promised(position, _) if self.pinners[i] == Kind::Branch => {
                match bucket.heads.entry(DEV) {
                    Entry::Occupied(_) => Pinner::GivenUp,
                    Entry::Vacant(place) => {
                        place.insert(new_head(i, position));
                        Pinner::Created
                    }
                }
            }
            Pinner::Promised(..) | Pinner::GivenUp => {
                bucket.pins.remove(&name);
                Pinner::Done
            }
            ended @ (Pinner::Done | Pinner::Created) => ended,
        };
        state.pinners[i] = next;
    }

    /// A pinner does not learn how its last request ended: the creation of a branch, or the removal of a pin.
    pub(crate) fn pin_late(&self, state: &mut State, i: usize) {
        state.faults -= 1;
        let request = if let Pinner::Promised(position, _) = state.pinners[i] {
            let undecided = self.on(Switch::UnpinUndecided);
            state.pinners[i] = if undecided { Pinner::GivenUp } else { Pinner::Created };
            let head = new_head(i, position);
            Request::Head { from: None, attempt: 0, branch: DEV, expected: None, head }
        } else {
            let name = self.pin_name(i);
            state.pinners[i] = Pinner::Done;
            state.bucket.pins.remove(&name);
            Request::Unpin { name }
        };
        state.network.push(request);
    }

    /// Whether the deletion of the branch can begin or go on. It begins after somebody wanted the branch.
    pub(crate) fn may_delete(&self, state: &State) -> bool {
        let wanted = |(kind, pinner): (&Kind, &Pinner)| *kind == Kind::Branch && *pinner != Pinner::Idle;
        let begun = self.pinners.iter().zip(&state.pinners).any(wanted);
        self.deletion && begun && state.deleter != Deleter::Done
    }

    /// The next step of the deletion.
    pub(crate) fn delete_branch(&self, state: &mut State) {
        let bucket = &mut state.bucket;
        state.deleter = match state.deleter {
            Deleter::Idle => {
                let found = bucket.heads.get(&DEV).copied();
                let put_id = PutId { by: u8::MAX, purpose: Purpose::Delete, epoch: 0, number: 0, again: 0 };
                let mark = match found {
                    Some(head) => {
                        Some(Head { put_id, epoch: head.epoch + 1, sealed: true, deleted: true, ..head })
                    }
                    None if self.on(Switch::DeleteWithoutMark) => None,
                    None => Some(Head {
                        put_id,
                        epoch: 1,
                        manifest: None,
                        source: None,
                        stream: None,
                        sealed: true,
                        deleted: true,
                    }),
                };
                match mark {
                    Some(_) if self.on(Switch::DeleteHead) => drop(bucket.heads.remove(&DEV)),
                    Some(mark) => drop(bucket.heads.insert(DEV, mark)),
                    None => {}
                }
                let left = found.filter(|head| head.manifest.is_some() && !head.sealed);
                Deleter::Fenced(left.and_then(|head| Some((head.stream?, head.epoch + 1))))
            }
            Deleter::Fenced(left) => {
                if let Some((stream, epoch)) = left
                    && let Some(loaded) = bucket.to_end(stream)
                {
                    let number = loaded.next();
                    let put_id = PutId { by: u8::MAX, purpose: Purpose::Delete, epoch, number, again: 0 };
                    bucket.slots.insert((stream, number), Slot::Seal { put_id, epoch });
                }
                Deleter::Sealed
            }
            Deleter::Sealed | Deleter::Done => {
                let mine = |by: &u8| self.pinners.get(usize::from(*by)) == Some(&Kind::Branch);
                bucket.pins.retain(|_, (_, by)| !mine(by));
                Deleter::Done
            }
        };
    }
}

/// Whether HEAD names something else than before.
fn moved(before: &Head, now: &Head) -> bool {
    (before.manifest, before.stream, before.sealed) != (now.manifest, now.stream, now.sealed)
}

/// HEAD of a new branch.
fn new_head(i: usize, position: Position) -> Head {
    Head {
        put_id: PutId { by: number(i), purpose: Purpose::Create, epoch: 0, number: 0, again: 0 },
        epoch: 0,
        manifest: None,
        source: Some(position),
        stream: None,
        sealed: true,
        deleted: false,
    }
}

/// The last commit of a branch that is durable, as its HEAD was and its stream is now.
fn last_durable(bucket: &Bucket, head: &Head) -> Option<Position> {
    let stream = head.stream.filter(|_| !head.sealed && head.manifest.is_some());
    let last = stream.and_then(|stream| Some(End { stream, sequence: bucket.last(stream)? }));
    Some(Position { end: last, ..head.state()? })
}

/// The end of the stream of the oldest manifest that is there, as a search for its last commit finds it; none if it
/// meets a segment that was collected.
fn oldest(bucket: &Bucket, head: &Head) -> Option<Position> {
    let position = *bucket.past(head, u8::MAX - 1).last()?;
    let Some(End { stream, sequence }) = position.end.filter(|end| end.sequence != u8::MAX) else {
        return last_durable(bucket, head);
    };
    let (mut from, mut found) = (1, 0);
    while from <= sequence {
        found = from + (sequence - from) / 2;
        bucket.segment(stream, found)?;
        from = found + 1;
    }
    let end = Some(End { stream, sequence: found }).filter(|end| end.sequence > 0);
    Some(Position { end, ..position })
}

fn is_condemned(bucket: &Bucket, position: Position) -> bool {
    bucket.condemned.values().any(|list| list.contains(&Object::Manifest(position.manifest)))
}

fn number(i: usize) -> u8 {
    u8::try_from(i).unwrap_or(u8::MAX)
}
