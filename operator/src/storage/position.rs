//! Positions as status shows them.

use roost_crds::PositionSummary;
use roost_protocol::Position;
use roost_store::Head;

/// A position as status shows it.
pub fn shown(position: &Position) -> PositionSummary {
    PositionSummary {
        branch: position.branch.to_string(),
        lineage: position.lineage.to_string(),
        epoch: position.epoch,
        manifest: position.manifest,
    }
}

/// Where a HEAD is, also before its first publish.
pub fn head_position(head: &Head) -> PositionSummary {
    head.manifest.as_ref().map_or_else(
        || PositionSummary {
            branch: head.branch.to_string(),
            lineage: head.lineage.to_string(),
            epoch: head.epoch,
            manifest: 0,
        },
        shown,
    )
}
