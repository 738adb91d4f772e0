//! The owner of a branch: what it knows of HEAD, and proofs that it still owns it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::ProveError;
use super::hydrate::{self, OpenedFile};
use super::proof::Proof;
use super::store::BranchStore;
use super::streams::{Named, Streams};
use crate::format::ReadError;
use crate::format::head::Head;
use crate::format::json::{self, Document};
use crate::local::Frozen;
use crate::mutation::{Mutation, broken};
use crate::object::{Changed, ETag, ObjectError};
use crate::pager::{Base, HydrateError};
use crate::position::{Position, StreamId};
use crate::state::{LoadedState, Placed};
use crate::stream::End;

/// A branch that this process took over: the right to publish it until another epoch appears. Share it by `Arc`.
#[derive(Debug)]
pub struct OwnedBranch {
    pub(super) at: BranchStore,
    former_names: Vec<String>,
    first_proof: Proof,
    state: Mutex<OwnerState>,
    /// Held by a publish, seal or relinquishment from its start to its end: what was frozen and is not published.
    pub(super) publishing: tokio::sync::Mutex<Option<Frozen>>,
    /// Held while a segment is on its way.
    pub(super) shipping: tokio::sync::Mutex<()>,
    pub(super) streams: Mutex<Streams>,
}

/// A branch as its owner knows it.
#[derive(Debug, Clone)]
pub(super) struct OwnerState {
    pub(super) head: Head,
    pub(super) etag: ETag,
    pub(super) loaded: Option<Arc<LoadedState>>,
    /// Why this owner can do nothing more; none while it can.
    pub(super) ended: Option<&'static str>,
}

pub(super) const FENCED: &str = "another epoch took the branch over";
pub(super) const UNDECIDED: &str = "a write of HEAD has no known outcome";
pub(super) const SEALED: &str = "it sealed the branch";
pub(super) const ABANDONED: &str = "a write was dropped before it ended";
pub(super) const GIVEN_UP: &str = "it gave the branch up";
pub(super) const FOREIGN: &str = "the local database is not the published one";

impl OwnedBranch {
    pub(super) fn new(
        at: BranchStore,
        (head, etag, first_proof): (Head, ETag, Proof),
        loaded: Option<LoadedState>,
        former_names: Vec<String>,
    ) -> Self {
        let named = named(&head, loaded.as_ref());
        let packed = loaded.as_ref().map(LoadedState::overlaid_in_packs).unwrap_or_default();
        let streams = Streams { named, next: None, packed, next_packed: Placed::new() };
        let state = OwnerState { head, etag, loaded: loaded.map(Arc::new), ended: None };
        Self {
            at,
            former_names,
            first_proof,
            state: Mutex::new(state),
            publishing: tokio::sync::Mutex::default(),
            shipping: tokio::sync::Mutex::default(),
            streams: Mutex::new(streams),
        }
    }

    /// Names of the tenants that the data was copied from.
    pub fn former_names(&self) -> &[String] {
        &self.former_names
    }

    /// Makes the branch's file at `path`, which must not exist, as a cache of at most `cache_bytes` that is filled as
    /// it is read; a branch that was never published gets an empty one. Call it before the first publish.
    pub async fn open(self: &Arc<Self>, path: &Path, cache_bytes: u64) -> Result<OpenedFile, HydrateError> {
        let (base, state) = (Arc::clone(self) as Arc<dyn Base>, self.loaded());
        hydrate::open(&self.at.bucket, &self.at.keys, (base, state.as_deref()), path, cache_bytes).await
    }

    /// The state that HEAD names; none if the branch is empty.
    pub(crate) fn loaded(&self) -> Option<Arc<LoadedState>> {
        self.lock().loaded.clone()
    }

    /// Reads HEAD again (If-None-Match) and checks that it is still ours. May run beside a publish.
    pub async fn prove(&self) -> Result<Proof, ProveError> {
        let known = self.known();
        if let Some(reason) = known.ended {
            return Err(ProveError::Ended(reason));
        }
        let sent = self.at.bucket.environment.clock.monotonic();
        if broken(Mutation::SkipTheProof) {
            return Ok(Proof { sent });
        }
        let key = self.at.keys.head(&self.at.name);
        let head: Head = match self.at.bucket.get_if_changed(&key, &known.etag, Head::LIMIT).await {
            Ok(Changed::Same) => return Ok(Proof { sent }),
            Ok(Changed::Changed(object)) => json::decode(&object.bytes).map_err(ReadError::content(&key))?,
            Err(ObjectError::NotFound { .. }) => return Err(self.fenced_prove("HEAD does not exist".into())),
            Err(error) => return Err(ReadError::from(error).into()),
        };
        // A publish of ours may have moved HEAD; only another epoch or history ends the right.
        if head.epoch == known.head.epoch && head.lineage == known.head.lineage {
            return Ok(Proof { sent });
        }
        Err(self.fenced_prove(describe(&head)))
    }

    /// When the takeover's own HEAD write was sent: the first proof.
    pub fn first_proof(&self) -> Proof {
        self.first_proof
    }

    /// Time by which the bucket's clock is ahead of this machine's, to within seconds; none if it tells no time.
    pub fn bucket_clock_ahead(&self) -> Option<jiff::SignedDuration> {
        self.at.bucket.store.clock_ahead()
    }

    /// The last position that is durable; none if the branch is empty.
    pub fn position(&self) -> Option<Position> {
        let known = self.known();
        let base = known.head.state()?.clone();
        let streams = self.streams();
        let end = &streams.named.end;
        // A publish may be in the middle of replacing both.
        if !streams.named.writable || end.sequence == 0 || end.id.manifest != base.manifest {
            return Some(known.loaded.map_or(base, |loaded| loaded.position()));
        }
        let (sequence, offset, stream_epoch) = (end.sequence, end.length, Some(end.id.epoch));
        Some(Position { sequence, offset, stream_epoch, ..base })
    }

    /// HEAD as this owner last knew it.
    pub fn head(&self) -> Head {
        self.lock().head.clone()
    }

    /// This owner's epoch.
    pub fn epoch(&self) -> u64 {
        self.lock().head.epoch
    }

    /// Whether the branch was ever published, or starts from a source: there is a file to hydrate.
    pub fn has_data(&self) -> bool {
        self.lock().head.state().is_some()
    }

    fn fenced_prove(&self, found: String) -> ProveError {
        self.end(FENCED);
        ProveError::Fenced { branch: self.at.name.clone(), found }
    }

    pub(super) fn known(&self) -> OwnerState {
        self.lock().clone()
    }

    pub(super) fn end(&self, reason: &'static str) {
        self.lock().ended.get_or_insert(reason);
    }

    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        // Each change leaves it whole.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, OwnerState> {
        // Each change is one assignment, so a panicking holder leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Base for OwnedBranch {
    /// The last publish, whichever that is.
    fn state(&self) -> Option<Arc<LoadedState>> {
        self.loaded()
    }
}

/// The stream that HEAD names right after a takeover. It may be written if the branch was sealed, and published before.
fn named(head: &Head, loaded: Option<&LoadedState>) -> Named {
    let own = StreamId { lineage: head.lineage, epoch: head.epoch, manifest: head.number() };
    let id = head.stream.unwrap_or(own);
    let recovered = loaded.and_then(|loaded| loaded.wal.as_ref()).filter(|wal| wal.stream.end.id == id);
    let end = recovered.map_or_else(|| End::empty(id), |wal| wal.stream.end.clone());
    Named { end, owned: id == own, writable: head.manifest.is_some() && id == own }
}

/// Ends the owner if it is dropped before it is taken back: a write of its may then still be under way.
pub(super) struct EndIfDropped<'a>(pub(super) Option<&'a OwnedBranch>);

impl Drop for EndIfDropped<'_> {
    fn drop(&mut self) {
        if let Some(owner) = self.0 {
            owner.end(ABANDONED);
        }
    }
}

/// HEAD in words, for an owner that lost it.
pub(super) fn describe(head: &Head) -> String {
    let holder = head.holder.as_ref().map_or("nobody", |holder| &holder.name);
    format!("epoch {} of {holder}, lineage {}", head.epoch, head.lineage)
}
