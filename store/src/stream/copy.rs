//! The WAL of a position as a stream of another history.

use super::{End, LoadedStream};
use crate::branch::read::LoadedWal;
use crate::bucket::{Bucket, WriteError};
use crate::format::segment::{Segment, Slot};
use crate::identity::{BranchName, PutId};
use crate::keys::Keys;
use crate::position::StreamId;

/// Writes the WAL to the stream `id`, which nobody else writes. The chunks that it refers to are the caller's part.
pub(crate) async fn copy(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    wal: &LoadedWal,
    id: StreamId,
) -> Result<(), WriteError> {
    let LoadedStream { segments, .. } = &*wal.stream;
    let mut end = End::empty(id);
    for (segment, bytes) in segments.iter().zip(wal.stream.wal(wal.offset)) {
        let after = end.after(bytes);
        let copied = Segment {
            put_id: PutId::random(&bucket.environment),
            branch: branch.clone(),
            stream: id,
            sequence: after.sequence,
            base: end.length,
            wal: segment.wal.slice_ref(bytes),
            wal_hash: *after.hasher.finalize().as_bytes(),
            commits: segment.commits.iter().filter(|commit| commit.end <= wal.offset).copied().collect(),
            file_size: segment.file_size,
            packs: Vec::new(),
            chunks: Vec::new(),
        };
        bucket.create(&keys.slot(branch, &id, after.sequence), &Slot::Segment(copied)).await?;
        end = after;
    }
    Ok(())
}
