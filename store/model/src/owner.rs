//! An owner of a branch: it ships, publishes, proves that it still is one, and seals.
//!
//! Any process may be left alone between two of its actions for as long as the checker likes: one that died is never
//! chosen again, and a zombie is one that is chosen late.

use std::collections::BTreeSet;

use crate::bucket::{
    Branch, Commit, End, Epoch, Head, Manifest, ManifestId, Number, Position, Purpose, PutId, Slot, StreamId,
    carried, packed,
};
use crate::request::{Request, Settled, Which, Write};
use crate::{Committed, State, StoreModel, Switch};

/// Phase of an owner's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// It has not begun.
    Idle,
    /// Its HEAD is on its way.
    TakingOver,
    /// Its seal is on its way.
    Sealing,
    /// Its first publish is on its way; it does not serve yet.
    Opening,
    /// It serves.
    Serving,
    /// It ended as another epoch has the branch.
    Fenced,
    /// It sealed the branch, or could not open it.
    Ended,
}

/// A process that may own a branch once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Its branch.
    pub branch: Branch,
    /// The phase that it is in.
    pub phase: Phase,
    /// HEAD as it knows it: as read, then as it wrote it last.
    pub head: Option<Head>,
    /// The commits in its database, in their order.
    pub history: Vec<Commit>,
    /// Number of them that the bucket holds, in a manifest or in one of the two streams.
    pub confirmed: usize,
    /// The manifest that its WAL follows.
    pub wal: Number,
    /// The end of the stream that HEAD names.
    pub named: Option<End>,
    /// Whether that stream is this owner's.
    pub writable: bool,
    /// The end of the stream of the publish under way.
    pub next: Option<End>,
    /// Whether a publish is under way, and whether it is the last one.
    pub publishing: Option<bool>,
    /// The write of a slot that was not settled yet.
    pub slot_write: Option<Write>,
    /// The write of HEAD that was not settled yet.
    pub head_write: Option<Write>,
    /// When the last proof was asked for.
    pub proof: Option<u8>,
    /// When the proof was asked for whose answer is on its way.
    pub asked: Option<u8>,
}

impl Owner {
    /// A process that has done nothing.
    pub fn new(branch: Branch) -> Self {
        Self {
            branch,
            phase: Phase::Idle,
            head: None,
            history: Vec::new(),
            confirmed: 0,
            wal: 0,
            named: None,
            writable: false,
            next: None,
            publishing: None,
            slot_write: None,
            head_write: None,
            proof: None,
            asked: None,
        }
    }

    /// Its epoch; 0 before it has one.
    pub fn epoch(&self) -> Epoch {
        match self.phase {
            Phase::Idle | Phase::TakingOver => 0,
            _ => self.head.map_or(0, |head| head.epoch),
        }
    }

    pub(crate) fn end(&mut self, phase: Phase) {
        *self = Self { phase, ..Self::new(self.branch) };
    }

    /// The end of the stream that its next commit continues.
    fn end_for(&self) -> Option<End> {
        let named = self.named.filter(|_| self.writable);
        named.into_iter().chain(self.next).find(|end| end.stream.manifest == self.wal)
    }
}

impl StoreModel {
    pub(crate) fn stream_id(&self, branch: Branch, epoch: Epoch, manifest: Number) -> StreamId {
        let epoch = if self.on(Switch::StreamWithoutEpoch) { 0 } else { epoch };
        StreamId { branch, epoch, manifest }
    }

    /// Whether a commit can be made: somebody serves, and there is a stream that it goes to.
    pub(crate) fn may_commit(&self, state: &State, owner: &Owner) -> bool {
        owner.phase == Phase::Serving
            && owner.publishing != Some(true)
            && owner.slot_write.is_none()
            && state.commits.len() < usize::from(self.max_commits)
            && owner.end_for().is_some_and(|end| end.sequence < self.max_slots)
    }

    /// A commit, and the PUT of the segment that carries it. Its pack is there before.
    pub(crate) fn ship(&self, state: &mut State, i: usize) {
        let owner = &mut state.owners[i];
        let (Some(End { stream, sequence }), epoch) = (owner.end_for(), owner.epoch()) else { return };
        let sequence = sequence + 1;
        let commit = number(state.commits.len());
        state.commits.push(Committed {
            branch: owner.branch,
            epoch,
            before: owner.history.clone(),
            acknowledged: self.on(Switch::AcknowledgeBeforePut),
            late: false,
        });
        owner.history.push(commit);
        state.bucket.packs.insert(carried(stream, sequence));
        let put_id = PutId { purpose: Purpose::Ship, ..put_id(i, epoch, sequence) };
        let slot = Slot::Segment { put_id, commit, late: false };
        Self::send(state, i, Request::Slot { from: number(i), attempt: 0, stream, sequence, slot });
    }

    fn shipped(&self, state: &mut State, i: usize, stream: StreamId, sequence: u8) {
        if let Some(Slot::Segment { commit, late: true, .. }) = state.bucket.slots.get(&(stream, sequence)) {
            state.commits[usize::from(*commit)].late = true;
        }
        let owner = &mut state.owners[i];
        owner.slot_write = None;
        owner.confirmed = owner.history.len();
        let end = Some(End { stream, sequence });
        let named = owner.named.is_some_and(|named| named.stream == stream);
        *(if named { &mut owner.named } else { &mut owner.next }) = end;
        if named || self.on(Switch::AcknowledgeBeforeNamed) {
            Self::acknowledge(state, i);
        }
    }

    /// Whether a publish may start: only one at a time, and only after the last PUT.
    pub(crate) fn may_publish(&self, owner: &Owner) -> bool {
        let number = owner.head.map_or(0, |head| head.number());
        Self::may_end(owner) && number < self.max_number
    }

    /// Whether the last publish may start when there is nothing to publish.
    pub(crate) fn may_relinquish(owner: &Owner) -> bool {
        Self::may_end(owner) && owner.named.is_some_and(|end| end.sequence == 0)
    }

    fn may_end(owner: &Owner) -> bool {
        owner.phase == Phase::Serving && owner.publishing.is_none() && owner.slot_write.is_none()
    }

    /// Seals HEAD at the manifest that it names.
    pub(crate) fn relinquish(state: &mut State, i: usize) {
        let owner = &mut state.owners[i];
        let (Some(head), branch) = (owner.head, owner.branch) else { return };
        let put_id = PutId { purpose: Purpose::Seal, ..put_id(i, head.epoch, head.number()) };
        owner.publishing = Some(true);
        let (from, expected) = (Some(number(i)), Some(head.put_id));
        let head = Head { put_id, sealed: true, ..head };
        Self::send(state, i, Request::Head { from, attempt: 0, branch, expected, head });
    }

    /// Whether a publish can be given up for another one, as nobody has seen its HEAD.
    pub(crate) fn may_freeze_again(&self, state: &State, owner: &Owner) -> bool {
        self.on(Switch::FreezeAgain)
            && owner.phase == Phase::Serving
            && owner.slot_write.is_none()
            && owner.head_write.is_some_and(|write| state.network.contains(&write.request))
    }

    /// Gives up the publish under way and begins another one.
    pub(crate) fn freeze_again(&self, state: &mut State, i: usize) {
        let Some(write) = state.owners[i].head_write.take() else { return };
        state.network.retain(|request| *request != write.request);
        self.publish(state, i, false);
    }

    /// Freezes the database, uploads it and sends HEAD. With `last`, HEAD is sealed in the same write.
    pub(crate) fn publish(&self, state: &mut State, i: usize, last: bool) {
        let owner = &state.owners[i];
        let (Some(head), branch, epoch) = (owner.head, owner.branch, owner.epoch()) else { return };
        let Some(base) = head.state() else { return };
        let manifest = ManifestId { branch, epoch, number: head.number() + 1 };
        // How the stream before ended; a branch that was never published continues its source.
        let end = if head.manifest.is_some() { owner.named } else { base.end };
        let parent = Position { manifest: base.manifest, end };
        let mut packs: BTreeSet<_> = [packed(manifest), packed(base.manifest)].into();
        let streams =
            end.into_iter().flat_map(|end| (1..=end.sequence).map(move |number| (end.stream, number)));
        packs.extend(streams.map(|(stream, number)| carried(stream, number)));
        state.bucket.packs.insert(packed(manifest));
        let history = owner.history.clone();
        state.bucket.manifests.insert(manifest, Manifest { history, packs, parent: Some(parent) });
        let stream = self.stream_id(branch, epoch, manifest.number);
        let put_id = PutId { purpose: Purpose::Publish, ..put_id(i, epoch, manifest.number) };
        let (manifest, stream) = (Some(manifest), Some(stream));
        let next = Head { put_id, manifest, source: None, stream, sealed: last, ..head };
        let owner = &mut state.owners[i];
        owner.publishing = Some(last);
        owner.next = stream.map(|stream| End { stream, sequence: 0 });
        if owner.phase != Phase::Serving {
            owner.phase = Phase::Opening;
        }
        if !self.on(Switch::OpenGate) {
            owner.wal = next.number();
        }
        let (from, expected) = (Some(number(i)), Some(head.put_id));
        Self::send(state, i, Request::Head { from, attempt: 0, branch, expected, head: next });
    }

    /// HEAD names the publish, and with it the stream that commits were put into meanwhile.
    fn published(state: &mut State, i: usize, head: Head) {
        let owner = &mut state.owners[i];
        owner.head_write = None;
        owner.publishing = None;
        if owner.phase == Phase::Opening {
            owner.confirmed = owner.history.len();
        }
        owner.head = Some(head);
        owner.wal = head.number();
        (owner.named, owner.writable) = (owner.next.take(), true);
        owner.phase = Phase::Serving;
        Self::acknowledge(state, i);
        if head.sealed {
            state.owners[i].end(Phase::Ended);
        }
    }

    /// Whoever reads sees what is confirmed, so a new owner's whole state counts too.
    pub(crate) fn acknowledge(state: &mut State, i: usize) {
        let owner = &state.owners[i];
        let (branch, epoch) = (usize::from(owner.branch), owner.epoch());
        for commit in &owner.history[..owner.confirmed] {
            let commit = &mut state.commits[usize::from(*commit)];
            if !commit.acknowledged {
                state.acknowledged_by[branch] = state.acknowledged_by[branch].max(epoch);
            }
            commit.acknowledged = true;
            state.wrong.late |= commit.late && commit.epoch == epoch;
        }
    }

    /// An owner learns how its write ended, or sends it again.
    pub(crate) fn settle(&self, state: &mut State, i: usize, which: Which) {
        let owner = &state.owners[i];
        let write = if which == Which::Slot { owner.slot_write } else { owner.head_write };
        let Some(write) = write else { return };
        let Some(settled) = write.settled(&state.bucket) else {
            return self.send_again(state, i, write.request);
        };
        match (write.request, settled) {
            (Request::Head { head, .. }, Settled::Mine) if owner.phase == Phase::TakingOver => {
                let owner = &mut state.owners[i];
                (owner.head_write, owner.head) = (None, Some(head));
                owner.phase = Phase::Opening;
                self.taken_over(state, i, head);
            }
            (Request::Head { branch, .. }, Settled::Other) if owner.phase == Phase::TakingOver => {
                let found = state.bucket.heads.get(&branch).map(|head| (head.epoch, head.deleted));
                // The owner before published or sealed: once more, on its newer HEAD.
                if found == owner.head.map(|head| (head.epoch, false)) {
                    self.take_over(state, i);
                } else {
                    state.owners[i].end(Phase::Fenced);
                }
            }
            (Request::Head { head, .. }, Settled::Mine) => Self::published(state, i, head),
            (Request::Slot { .. }, Settled::Mine) if owner.phase == Phase::Sealing => {
                state.owners[i].slot_write = None;
                self.publish(state, i, false);
            }
            (Request::Slot { stream, .. }, Settled::Other) if owner.phase == Phase::Sealing => {
                self.seal(state, i, stream);
            }
            (Request::Slot { stream, sequence, .. }, Settled::Mine) => {
                self.shipped(state, i, stream, sequence);
            }
            (Request::Head { .. } | Request::Slot { .. }, Settled::Other) => Self::fenced(state, i),
            (Request::Unpin { .. }, _) => {}
        }
    }

    /// Reads HEAD; a changed epoch ends the owner at once, the answer of a proof may take its time.
    pub(crate) fn prove(state: &mut State, i: usize) {
        let owner = &state.owners[i];
        let found = state.bucket.heads.get(&owner.branch).filter(|head| !head.deleted).map(|head| head.epoch);
        if found == Some(owner.epoch()) {
            state.owners[i].asked = Some(state.now);
        } else {
            Self::fenced(state, i);
        }
    }

    /// The answer of [`Self::prove`] is there.
    pub(crate) fn proven(&self, state: &mut State, i: usize) {
        let asked = state.owners[i].asked.take();
        state.owners[i].proof = if self.on(Switch::ProofFromAnswer) { Some(state.now) } else { asked };
    }

    pub(crate) fn fenced(state: &mut State, i: usize) {
        let owner = &state.owners[i];
        let head = state.bucket.heads.get(&owner.branch);
        state.wrong.gave_up |= head.is_some_and(|head| head.epoch == owner.epoch());
        state.owners[i].end(Phase::Fenced);
    }
}

pub(crate) fn put_id(i: usize, epoch: Epoch, number: u8) -> PutId {
    PutId { by: self::number(i), purpose: Purpose::Publish, epoch, number, again: 0 }
}

pub(crate) fn number(i: usize) -> u8 {
    u8::try_from(i).unwrap_or(u8::MAX)
}
