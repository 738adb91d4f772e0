//! The streams that an owner writes, as it knows them.

use crate::state::Placed;
use crate::stream::End;

/// The streams that an owner writes.
#[derive(Debug)]
pub(super) struct Streams {
    /// The one that HEAD names.
    pub(super) named: Named,
    /// The one of the publish under way.
    pub(super) next: Option<End>,
    /// The chunks that segments of `named` put into packs: its publish need not upload them again.
    pub(super) packed: Placed,
    /// The chunks that segments of `next` put into packs.
    pub(super) next_packed: Placed,
}

/// The stream that HEAD names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) end: End,
    /// Whether it is this owner's.
    pub(super) owned: bool,
    /// Whether it is this owner's, and follows a manifest.
    pub(super) writable: bool,
}

impl Named {
    /// Whether the branch is more than its manifest: what this owner shipped, or whatever one before it may have.
    pub(super) fn has_data(&self) -> bool {
        !self.owned || self.end.sequence > 0
    }
}
