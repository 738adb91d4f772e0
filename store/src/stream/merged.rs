//! A stream that is over, put into one object, and read from there.

use super::read::{self, LoadedStream};
use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::format::merged::{self, MAX_MERGED_BYTES};
use crate::identity::BranchName;
use crate::keys::Keys;
use crate::object::ObjectError;
use crate::position::{StreamEnd, StreamId};

/// Puts a stream that is over into one object. False: it is too long for that. Every attempt writes the same bytes.
pub(crate) async fn merge(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    end: &StreamEnd,
) -> Result<bool, ReadError> {
    let loaded = read::segments(bucket, keys, branch, end.stream, end.sequence).await?;
    let key = keys.merged(branch, &end.stream);
    check_end(&key, &loaded, end)?;
    let (of, stream) = (branch.clone(), end.stream);
    let work = move || merged::encode(&of, stream, &loaded.segments);
    let encoded = bucket.environment.compute(work).await.map_err(ReadError::content(&key))?;
    let Some(bytes) = encoded else { return Ok(false) };
    match bucket.put_if_absent(&key, bytes.into()).await {
        // Another collector's, or an attempt of ours whose answer was lost.
        Ok(()) | Err(ObjectError::PreconditionFailed { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

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

fn check_end(key: &str, loaded: &LoadedStream, end: &StreamEnd) -> Result<(), ReadError> {
    if loaded.end.record() == *end {
        return Ok(());
    }
    let why =
        format!("the stream ends with {:?}, and the manifest after it says {end:?}", loaded.end.record());
    Err(ReadError::Mismatch { key: key.into(), why })
}
