//! The owner of a branch: what it knows of HEAD, and proofs that it still owns it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::read::LoadedState;
use super::{BranchStore, HydrateError, Hydrated, Hydration, Proof, ProveError, hydrate};
use crate::format::ReadError;
use crate::format::head::Head;
use crate::format::json::{self, Document};
use crate::object::{Changed, ETag, ObjectError};
use crate::position::Position;
use crate::tenant::Progress;

/// A branch that this process took over: the right to publish it until another epoch appears. Share it by `Arc`.
#[derive(Debug)]
pub struct OwnedBranch {
    pub(super) at: BranchStore,
    first_proof: Proof,
    state: Mutex<OwnerState>,
    /// Held by a publish, seal or relinquishment from its start to its end.
    pub(super) publishing: tokio::sync::Mutex<()>,
}

/// What the owner knows of its branch.
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
pub(super) const ABANDONED: &str = "a publish was dropped before it ended";
pub(super) const FOREIGN: &str = "the local database is not the published one";

impl OwnedBranch {
    pub(super) fn new(
        at: BranchStore,
        head: Head,
        etag: ETag,
        first_proof: Proof,
        loaded: Option<LoadedState>,
    ) -> Self {
        let state = OwnerState { head, etag, loaded: loaded.map(Arc::new), ended: None };
        Self { at, first_proof, state: Mutex::new(state), publishing: tokio::sync::Mutex::new(()) }
    }

    /// Builds the branch's file at `path`, which must not exist: parallel range GETs, every chunk's hash
    /// checked, bounded memory. On an error no file is left. Call it before the first publish.
    pub async fn hydrate(
        &self,
        path: &Path,
        hydration: Hydration,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Hydrated, HydrateError> {
        match self.known().loaded {
            Some(state) => {
                hydrate::build(&self.at.bucket, &self.at.keys, &state, path, hydration, progress).await
            }
            None => Ok(Hydrated::Empty),
        }
    }

    /// Reads HEAD again (If-None-Match) and checks that it is still ours. May run beside a publish.
    pub async fn prove(&self) -> Result<Proof, ProveError> {
        let known = self.known();
        if let Some(reason) = known.ended {
            return Err(ProveError::Ended(reason));
        }
        let sent = self.at.bucket.environment.clock.monotonic();
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

    /// The position that HEAD names (a published one, or the source of a new branch); none if empty.
    pub fn position(&self) -> Option<Position> {
        self.lock().head.state().cloned()
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

    pub(super) fn lock(&self) -> MutexGuard<'_, OwnerState> {
        // Each change is one assignment, so a panicking holder leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// HEAD in words, for an owner that lost it.
pub(super) fn describe(head: &Head) -> String {
    let holder = head.holder.as_ref().map_or("nobody", |holder| &holder.name);
    format!("epoch {} of {holder}, lineage {}", head.epoch, head.lineage)
}
