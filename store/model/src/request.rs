//! Conditional writes: on their way, decided, and their answers lost.

use crate::bucket::{Branch, Bucket, Head, PutId, Sequence, Slot, StreamId};
use crate::{State, StoreModel, Switch};

/// A request that the bucket has not seen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// Writes a HEAD.
    Head {
        /// The owner that waits for the answer; none if nobody does.
        from: Option<u8>,
        /// Tells copies of one write apart.
        attempt: u8,
        /// The branch whose HEAD it is.
        branch: Branch,
        /// Put-id of the HEAD that must be there; none if there must be no HEAD.
        expected: Option<PutId>,
        /// The new HEAD.
        head: Head,
    },
    /// Writes a slot that must be free.
    Slot {
        /// The owner that waits for the answer.
        from: u8,
        /// Tells copies of one write apart.
        attempt: u8,
        /// The stream.
        stream: StreamId,
        /// The slot's number.
        sequence: Sequence,
        /// The object that is written.
        slot: Slot,
    },
    /// Removes a pin for the second time: a copy of a request that was answered.
    Unpin {
        /// The pin.
        name: u8,
    },
}

/// Outcome of a write, as its sender knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// Nothing yet.
    Awaited,
    /// It took effect.
    Done,
    /// Its condition failed: perhaps because of an earlier copy.
    Refused,
    /// There will be no answer. It may have taken effect, or still take it.
    Lost,
}

/// A write that its owner waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Write {
    /// The last copy that was sent.
    pub request: Request,
    /// Its answer.
    pub answer: Answer,
}

/// Which of an owner's two writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Which {
    /// To a slot.
    Slot,
    /// To HEAD.
    Head,
}

/// Outcome of a conditional write. There is no third one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It took effect.
    Mine,
    /// It did not, and cannot any more.
    Other,
}

impl Write {
    /// Tells how it ended, if reading back shows that; none if it must be sent again.
    pub fn settled(&self, bucket: &Bucket) -> Option<Settled> {
        if self.answer == Answer::Done {
            return Some(Settled::Mine);
        }
        let (found, wanted, expected) = match self.request {
            Request::Head { branch, expected, head, .. } => {
                (bucket.heads.get(&branch).map(|head| head.put_id), head.put_id, expected)
            }
            Request::Slot { stream, sequence, slot, .. } => {
                (bucket.slots.get(&(stream, sequence)).map(Slot::put_id), slot.put_id(), None)
            }
            Request::Unpin { .. } => return Some(Settled::Mine),
        };
        match found {
            found if found == Some(wanted) => Some(Settled::Mine),
            found if found == expected => None,
            _ => Some(Settled::Other),
        }
    }
}

impl StoreModel {
    /// Sends a write of an owner.
    pub(crate) fn send(state: &mut State, owner: usize, request: Request) {
        let write = Some(Write { request, answer: Answer::Awaited });
        match request {
            Request::Head { .. } => state.owners[owner].head_write = write,
            Request::Slot { .. } | Request::Unpin { .. } => state.owners[owner].slot_write = write,
        }
        state.network.push(request);
    }

    /// Sends the same bytes once more.
    pub(crate) fn send_again(&self, state: &mut State, owner: usize, request: Request) {
        let next = u8::from(self.on(Switch::NewPutId));
        let request = match request {
            Request::Head { from, attempt, branch, expected, mut head } => {
                head.put_id.again += next;
                Request::Head { from, attempt: attempt + 1, branch, expected, head }
            }
            Request::Slot { from, attempt, stream, sequence, mut slot } => {
                match &mut slot {
                    Slot::Segment { put_id, .. } | Slot::Seal { put_id, .. } => put_id.again += next,
                }
                Request::Slot { from, attempt: attempt + 1, stream, sequence, slot }
            }
            Request::Unpin { .. } => return,
        };
        Self::send(state, owner, request);
    }

    /// The bucket gets a request, and its answer is on its way.
    pub(crate) fn deliver(&self, state: &mut State, request: &Request) {
        let Some(at) = state.network.iter().position(|other| other == request) else { return };
        state.network.remove(at);
        let (from, done) = match *request {
            Request::Head { from, branch, expected, head, .. } => {
                let found = state.bucket.heads.get(&branch).copied();
                let free = found.map(|found| found.put_id) == expected;
                let done = free || (self.on(Switch::UnconditionalHead) && found.is_some());
                if done {
                    Self::watch_head(state, found, &head);
                    state.bucket.heads.insert(branch, head);
                }
                (from, done)
            }
            Request::Slot { from, stream, sequence, slot, .. } => {
                let free = !state.bucket.slots.contains_key(&(stream, sequence));
                let done = free || self.on(Switch::UnconditionalSlot);
                if done {
                    let slot = Self::stamped(state, stream, slot);
                    state.bucket.slots.insert((stream, sequence), slot);
                }
                (Some(from), done)
            }
            Request::Unpin { name } => {
                state.bucket.pins.remove(&name);
                return;
            }
        };
        let Some(owner) = from.and_then(|from| state.owners.get_mut(usize::from(from))) else { return };
        for write in [&mut owner.slot_write, &mut owner.head_write].into_iter().flatten() {
            if write.request == *request && write.answer == Answer::Awaited {
                write.answer = if done { Answer::Done } else { Answer::Refused };
            }
        }
    }

    /// Whether a segment comes too late is known when it arrives. A deleted branch promises nothing any more.
    fn stamped(state: &State, stream: StreamId, slot: Slot) -> Slot {
        let Slot::Segment { put_id, commit, .. } = slot else { return slot };
        let Some(head) = state.bucket.heads.get(&stream.branch).filter(|head| !head.deleted) else {
            return slot;
        };
        let sealed = state.bucket.stream(stream).any(|(_, slot)| matches!(slot, Slot::Seal { .. }));
        let left = head.epoch > put_id.epoch && head.stream != Some(stream);
        Slot::Segment { put_id, commit, late: sealed || left }
    }

    /// Forgets requests that can neither change anything nor be answered, so that equal situations are equal states.
    pub(crate) fn tidy(&self, state: &mut State) {
        let State { network, owners, bucket, .. } = state;
        let anything = self.on(Switch::UnconditionalHead) || self.on(Switch::UnconditionalSlot);
        network.retain(|request| {
            let awaited = |write: &Write| write.request == *request && write.answer == Answer::Awaited;
            let mut writes = owners.iter().flat_map(|owner| [&owner.slot_write, &owner.head_write]).flatten();
            anything
                || writes.any(awaited)
                || match request {
                    Request::Head { branch, expected, .. } => {
                        let found = bucket.heads.get(branch).map(|head| head.put_id);
                        found == *expected || (found.is_some() && self.on(Switch::DeleteHead))
                    }
                    // A collector may free it.
                    Request::Slot { stream, sequence, .. } => {
                        self.collectors > 0 || !bucket.slots.contains_key(&(*stream, *sequence))
                    }
                    Request::Unpin { name } => {
                        self.on(Switch::SharedPinName) || bucket.pins.contains_key(name)
                    }
                }
        });
        network.sort_unstable();
    }
}
