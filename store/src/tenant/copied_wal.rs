//! The WAL of a position as a stream of another history.

use crate::bucket::WriteError;
use crate::format::segment::{Segment, Slot, StoredWal};
use crate::format::{FormatError, ReadError};
use crate::identity::{BranchName, PutId};
use crate::position::StreamId;
use crate::state::LoadedWal;
use crate::stream::End;
use crate::tenant::TenantStore;

/// Writes the WAL of the tenant `from` to the stream `id` of the tenant `to`, which nobody else writes. The chunks that it
/// refers to are the caller's part.
pub(crate) async fn copy(
    from: &TenantStore,
    wal: &LoadedWal,
    to: &TenantStore,
    branch: &BranchName,
    id: StreamId,
) -> Result<(), WriteError> {
    let bucket = to.bucket();
    let mut end = End::empty(id);
    for (number, segment) in wal.stream.segments.iter().enumerate() {
        let sequence = end.sequence + 1;
        let (stream, offset) = (wal.stream.clone(), wal.offset);
        let (opening, closing) = (from.bucket().codec.clone(), bucket.codec.clone());
        let work = move || {
            let raw = stream.segments[number].wal(&opening, offset)?;
            let stored = closing.store_wal(&id, sequence, &raw)?.into();
            Ok::<_, FormatError>(StoredWal { length: raw.len(), stored })
        };
        let source = from.keys().slot(&segment.branch, &segment.stream, segment.sequence);
        let stored = bucket.environment.compute(work).await.map_err(ReadError::content(&source))?;
        let after = end.after(&stored);
        let copied = Segment {
            put_id: PutId::from_bytes(bucket.environment.random_id()),
            branch: branch.clone(),
            stream: id,
            sequence,
            base: end.length,
            encryption: bucket.codec.encryption(),
            wal: stored,
            wal_hash: *after.hasher.finalize().as_bytes(),
            commits: segment.commits.iter().filter(|commit| commit.end <= wal.offset).copied().collect(),
            file_size: segment.file_size,
            packs: Vec::new(),
            chunks: Vec::new(),
        };
        bucket.create(&to.keys().slot(branch, &id, sequence), &Slot::Segment(copied)).await?;
        end = after;
    }
    Ok(())
}
