//! A stream that is over, read from the one object that it was put into.

use super::loaded::LoadedStream;
use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::format::merged::{self, MAX_MERGED_BYTES};
use crate::identity::BranchName;
use crate::keys::Keys;
use crate::object::ObjectError;
use crate::position::{StreamEnd, StreamId};

/// Checks that the merged object of a stream that is over holds all of it.
pub(crate) async fn check(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    end: &StreamEnd,
) -> Result<(), ReadError> {
    let key = keys.merged(branch, &end.stream);
    let loaded = load(bucket, keys, branch, end.stream, end.sequence).await?;
    check_end(&key, &loaded.ok_or(ObjectError::NotFound { key: key.clone() })?, end)
}

/// The first `sequence` segments of a stream from its merged object; none if there is no such object.
pub(super) async fn load(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    id: StreamId,
    sequence: u64,
) -> Result<Option<LoadedStream>, ReadError> {
    let key = keys.merged(branch, &id);
    let object = match bucket.get(&key, MAX_MERGED_BYTES).await {
        Err(ObjectError::NotFound { .. }) => return Ok(None),
        object => object?,
    };
    let decode = move || merged::decode(&object.bytes);
    let (found_branch, found, segments) =
        bucket.environment.compute(decode).await.map_err(ReadError::content(&key))?;
    let mismatch = |why: String| ReadError::Mismatch { key: key.clone(), why };
    if (&found_branch, found) != (branch, id) {
        return Err(mismatch(format!("it is of stream {found:?} of branch {found_branch}")));
    }
    let mut loaded = LoadedStream::empty(id);
    for segment in segments.into_iter().take(usize::try_from(sequence).unwrap_or(usize::MAX)) {
        loaded.push(&key, segment)?;
    }
    if loaded.end.sequence < sequence {
        return Err(mismatch(format!("it ends at number {}, {sequence} is needed", loaded.end.sequence)));
    }
    Ok(Some(loaded))
}

pub(super) fn check_end(key: &str, loaded: &LoadedStream, end: &StreamEnd) -> Result<(), ReadError> {
    if loaded.end.record() == *end {
        return Ok(());
    }
    let why =
        format!("the stream ends with {:?}, and the manifest after it says {end:?}", loaded.end.record());
    Err(ReadError::Mismatch { key: key.into(), why })
}
