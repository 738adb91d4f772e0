//! The WAL of a position as a stream of another history.

use super::{End, LoadedStream};
use crate::branch::read::LoadedWal;
use crate::bucket::{Bucket, WriteError};
use crate::encryption::Codec;
use crate::format::ReadError;
use crate::format::segment::{Segment, Slot, StoredWal};
use crate::identity::{BranchName, PutId};
use crate::keys::Keys;
use crate::position::StreamId;

/// Writes the WAL, which `from` stores, to the stream `id`, which nobody else writes. The chunks that it refers to are
/// the caller's part.
pub(crate) async fn copy(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    (wal, from): (&LoadedWal, &Codec),
    id: StreamId,
) -> Result<(), WriteError> {
    let LoadedStream { segments, .. } = &*wal.stream;
    let mut end = End::empty(id);
    for (segment, bytes) in segments.iter().zip(wal.stream.wal(from, wal.offset)) {
        let key = keys.slot(branch, &id, end.sequence + 1);
        let bytes = bytes.map_err(ReadError::content(&key))?;
        let stored = bucket.codec.store_wal(&id, end.sequence + 1, &bytes);
        let stored = stored.map_err(ReadError::content(&key))?.into();
        let stored = StoredWal { length: bytes.len(), stored };
        let after = end.after(&stored);
        let copied = Segment {
            put_id: PutId::random(&bucket.environment),
            branch: branch.clone(),
            stream: id,
            sequence: after.sequence,
            base: end.length,
            encryption: bucket.codec.encryption(),
            wal: stored,
            wal_hash: *after.hasher.finalize().as_bytes(),
            commits: segment.commits.iter().filter(|commit| commit.end <= wal.offset).copied().collect(),
            file_size: segment.file_size,
            packs: Vec::new(),
            chunks: Vec::new(),
        };
        bucket.create(&key, &Slot::Segment(copied)).await?;
        end = after;
    }
    Ok(())
}
