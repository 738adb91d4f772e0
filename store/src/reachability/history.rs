//! The past of a branch: from HEAD's manifest through its parents, as far as it is kept.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::manifests::Manifests;
use crate::format::ReadError;
use crate::format::head::Head;
use crate::format::manifest::Manifest;
use crate::object::ObjectError;
use crate::position::{StreamEnd, StreamId};

/// Part of a branch's history that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// As far as it goes: nothing of it was ever collected.
    Whole,
    /// Every state that a branch had at this moment or later.
    Since(Timestamp),
}

impl History {
    /// The history that a recovery window keeps at `now`. A window that reaches back beyond all time keeps everything.
    pub fn within(window: SignedDuration, now: Timestamp) -> Self {
        now.checked_sub(window).map_or(Self::Whole, Self::Since)
    }
}

/// A stream that follows a manifest.
#[derive(Debug, Clone)]
pub(super) enum Following {
    /// Its owner may write to it: all of it belongs to the branch.
    Open(StreamId),
    /// It is over, and ended there.
    Over(StreamEnd),
}

/// One manifest of a branch, and the WAL after it that belongs to the branch.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) manifest: Arc<Manifest>,
    pub(super) following: Option<Following>,
    /// Whether it is HEAD's: its absence is damage. An older one may have been collected.
    pub(super) current: bool,
}

impl Past {
    /// Since when the branch had this state.
    pub(super) fn since(&self) -> Timestamp {
        // Nothing was ever committed in it: it is as old as the branch.
        self.manifest.last_commit.unwrap_or(self.manifest.written)
    }
}

/// The manifests of a branch's own lineage, newest first. What its lineage began with is kept by a pin.
pub(super) async fn read_back(
    manifests: &Manifests<'_>,
    head: &Head,
    history: History,
) -> Result<Vec<Past>, ReadError> {
    let mut chain: Vec<Past> = Vec::new();
    let Some(mut position) = head.manifest.clone() else { return Ok(chain) };
    let mut following = head.stream.filter(|_| !head.sealed).map(Following::Open);
    loop {
        let current = chain.is_empty();
        let manifest =
            if current { manifests.read(&position).await } else { manifests.past(&position).await };
        let manifest = match manifest {
            // The rest was collected.
            Err(ReadError::Object(ObjectError::NotFound { .. })) if !current => return Ok(chain),
            manifest => manifest?,
        };
        let past = Past { manifest, following, current };
        let enough = matches!(history, History::Since(moment) if past.since() <= moment);
        let parent = past.manifest.parent.as_ref().filter(|parent| parent.lineage == head.lineage);
        let parent = parent.map(crate::position::Position::base);
        following = past.manifest.parent_end.clone().map(Following::Over);
        chain.push(past);
        match parent {
            Some(parent) if !enough => position = parent,
            _ => return Ok(chain),
        }
    }
}
