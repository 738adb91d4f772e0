//! Becoming the owner of a branch: HEAD, then the end of the stream that the owner before left.

use crate::bucket::{End, Head, Position, Purpose, PutId, Slot, StreamId};
use crate::owner::{Phase, number, put_id};
use crate::request::Request;
use crate::{State, StoreModel, Switch};

impl StoreModel {
    /// Sends HEAD {epoch + 1}. Everything else of it stays until the first publish.
    pub(crate) fn take_over(&self, state: &mut State, i: usize) {
        let branch = state.owners[i].branch;
        let Some(head) = state.bucket.heads.get(&branch).copied().filter(|head| !head.deleted) else {
            return state.owners[i].end(Phase::Ended);
        };
        let epoch = head.epoch + 1;
        let stream = head.stream.filter(|_| !head.sealed);
        let stream = stream.unwrap_or_else(|| self.stream_id(branch, epoch, head.number()));
        let put_id = PutId { purpose: Purpose::TakeOver, ..put_id(i, epoch, head.number()) };
        let next = Head { put_id, epoch, stream: Some(stream), sealed: false, ..head };
        let owner = &mut state.owners[i];
        (owner.phase, owner.head, owner.proof) = (Phase::TakingOver, Some(head), Some(state.now));
        let (from, expected) = (Some(number(i)), Some(head.put_id));
        Self::send(state, i, Request::Head { from, attempt: 0, branch, expected, head: next });
    }

    pub(crate) fn taken_over(&self, state: &mut State, i: usize, head: Head) {
        let branch = state.owners[i].branch;
        let own = self.stream_id(branch, head.epoch, head.number());
        let Some(history) = head.state().and_then(|base| state.bucket.read(&base)) else {
            return state.owners[i].end(Phase::Ended);
        };
        let owner = &mut state.owners[i];
        owner.head = Some(head);
        owner.wal = head.number();
        owner.named = head.stream.map(|stream| End { stream, sequence: 0 });
        owner.writable = head.manifest.is_some() && head.stream == Some(own);
        if owner.writable {
            owner.confirmed = history.len();
            owner.history = history;
            owner.phase = Phase::Serving;
            Self::acknowledge(state, i);
        } else if let Some(stream) = head.stream.filter(|_| head.manifest.is_some()) {
            self.seal(state, i, stream);
        } else {
            owner.history = history;
            match head.source.and_then(|source| source.end).filter(|_| self.on(Switch::SealSource)) {
                Some(end) => self.seal(state, i, end.stream),
                None => self.publish(state, i, false),
            }
        }
    }

    /// Reads the stream that the owner before left, and puts a seal at its end.
    pub(crate) fn seal(&self, state: &mut State, i: usize, stream: StreamId) {
        let epoch = state.owners[i].epoch();
        let Some(base) = state.owners[i].head.and_then(|head| head.state()) else { return };
        let Some(loaded) = state.bucket.to_end(stream) else {
            return state.owners[i].end(Phase::Ended);
        };
        if loaded.seals.iter().any(|other| *other >= epoch) {
            return Self::fenced(state, i);
        }
        let end = End { stream, sequence: loaded.last };
        let again = state.owners[i].phase == Phase::Sealing;
        if !(again && self.on(Switch::OpenBeforeSealing)) {
            let end = Some(end).filter(|end| end.sequence > 0).or(base.end);
            let Some(history) = state.bucket.read(&Position { end, ..base }) else {
                return state.owners[i].end(Phase::Ended);
            };
            state.owners[i].history = history;
            state.owners[i].named = Some(End { stream, sequence: end.map_or(0, |end| end.sequence) });
        }
        if self.on(Switch::SkipSeal) {
            return self.publish(state, i, false);
        }
        let owner = &mut state.owners[i];
        owner.phase = Phase::Sealing;
        let sequence = loaded.next();
        let put_id = PutId { purpose: Purpose::TakeOver, ..put_id(i, epoch, sequence) };
        let slot = Slot::Seal { put_id, epoch };
        Self::send(state, i, Request::Slot { from: number(i), attempt: 0, stream, sequence, slot });
    }
}
