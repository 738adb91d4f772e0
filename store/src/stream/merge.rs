//! Putting a stream that is over into one object.

use super::merged::check_end;
use super::read;
use crate::bucket::Bucket;
use crate::format::{self, ReadError};
use crate::identity::BranchName;
use crate::keys::Keys;
use crate::object::ObjectError;
use crate::position::StreamEnd;

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
    let work = move || format::merged::encode(&of, stream, &loaded.segments);
    let encoded = bucket.environment.compute(work).await.map_err(ReadError::content(&key))?;
    let Some(bytes) = encoded else { return Ok(false) };
    match bucket.put_if_absent(&key, bytes.into()).await {
        // Another collector's, or an attempt of ours whose answer was lost.
        Ok(()) | Err(ObjectError::PreconditionFailed { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
