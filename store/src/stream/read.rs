//! Reading a stream and checking that nothing in it is missing, doubled or foreign.

use std::ops::RangeInclusive;

use futures::{StreamExt, TryStreamExt, stream};

use super::loaded::LoadedStream;
use super::merged;
use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::format::segment::{Segment, Slot};
use crate::identity::BranchName;
use crate::keys::Keys;
use crate::object::ObjectError;
use crate::position::StreamId;

/// Most slots of a stream: publishes end it long before.
const MAX_SLOTS: usize = 1_000_000;
/// Slots fetched at a time.
const SLOTS_IN_FLIGHT: usize = 8;

/// Reads a slot and checks that it is where it belongs; none if nothing is there.
async fn slot(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    id: StreamId,
    sequence: u64,
) -> Result<Option<Slot>, ReadError> {
    let key = keys.slot(branch, &id, sequence);
    let Some((slot, _)) = bucket.find::<Slot>(&key).await? else { return Ok(None) };
    check_place(&key, &slot, branch, id, sequence)?;
    Ok(Some(slot))
}

pub(super) fn check_place(
    key: &str,
    slot: &Slot,
    branch: &BranchName,
    id: StreamId,
    sequence: u64,
) -> Result<(), ReadError> {
    let (found_branch, found, number) = slot.place();
    if found.lineage != id.lineage {
        let (found, expected) = (found.lineage.to_string(), id.lineage.to_string());
        return Err(ReadError::WrongLineage { key: key.into(), found, expected });
    }
    if (found_branch, found, number) != (branch, id, sequence) {
        let why = format!("it is number {number} of stream {found:?} of branch {found_branch}");
        return Err(ReadError::Mismatch { key: key.into(), why });
    }
    Ok(())
}

/// The slots with these numbers, several requests at a time.
fn slots<'a>(
    bucket: &'a Bucket,
    keys: &'a Keys,
    branch: &'a BranchName,
    id: StreamId,
    numbers: RangeInclusive<u64>,
) -> impl futures::Stream<Item = Result<Option<Slot>, ReadError>> + 'a {
    stream::iter(numbers)
        .map(move |sequence| slot(bucket, keys, branch, id, sequence))
        .buffered(SLOTS_IN_FLIGHT)
}

/// Reads on until nothing is there.
pub(super) async fn read_on(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    loaded: &mut LoadedStream,
) -> Result<(), ReadError> {
    let id = loaded.end.id;
    let mut gap_before = None;
    loop {
        let first = loaded.next();
        let window = first..=first + SLOTS_IN_FLIGHT as u64 - 1;
        let found: Vec<_> = slots(bucket, keys, branch, id, window).try_collect().await?;
        let there = found.iter().flatten().count();
        for slot in found.into_iter().map_while(std::convert::identity) {
            loaded.take(&keys.slot(branch, &id, loaded.next()), slot)?;
        }
        match loaded.next() - first {
            read if read == there as u64 && there < SLOTS_IN_FLIGHT => return Ok(()),
            read if read == there as u64 => {}
            // Its owner may have put both meanwhile. If it is still not there now, the bucket lost it.
            _ if gap_before != Some(loaded.next()) => gap_before = Some(loaded.next()),
            _ => {
                let key = keys.slot(branch, &id, loaded.next());
                return Err(ReadError::Mismatch {
                    key,
                    why: "it is missing, and a later one is there".into(),
                });
            }
        }
    }
}

/// Reads a stream as far as it goes now.
pub(crate) async fn to_end(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    id: StreamId,
) -> Result<LoadedStream, ReadError> {
    let mut loaded = LoadedStream::empty(id);
    read_on(bucket, keys, branch, &mut loaded).await?;
    Ok(loaded)
}

/// The last segment of a stream as far as it goes now: one LIST and usually one GET, however long it is.
pub(crate) async fn last(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    id: StreamId,
) -> Result<Option<Segment>, ReadError> {
    let listed = bucket.list_all(&keys.slots(branch, &id), MAX_SLOTS).await?;
    // Seals may follow it, one for each owner that took over.
    for sequence in (1..=listed.len() as u64).rev() {
        if let Some(Slot::Segment(segment)) = slot(bucket, keys, branch, id, sequence).await? {
            return Ok(Some(segment));
        }
    }
    Ok(None)
}

/// Reads a number that held a segment; the error tells what is there instead, if the stream was not merged.
pub(crate) async fn segment(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    id: StreamId,
    sequence: u64,
) -> Result<Result<Segment, ReadError>, ReadError> {
    let key = keys.slot(branch, &id, sequence);
    Ok(match slot(bucket, keys, branch, id, sequence).await? {
        Some(Slot::Segment(segment)) => Ok(segment),
        // Put there by an owner that read the stream before it was merged, and lost.
        Some(Slot::Seal(_)) => {
            Err(ReadError::Mismatch { key, why: "a seal is there instead of a segment".into() })
        }
        None => Err(ObjectError::NotFound { key }.into()),
    })
}

/// Reads a stream up to a number that holds a segment, or did before the stream was merged.
pub(crate) async fn segments(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    id: StreamId,
    sequence: u64,
) -> Result<LoadedStream, ReadError> {
    let mut loaded = LoadedStream::empty(id);
    let segments = stream::iter(1..=sequence).map(|number| segment(bucket, keys, branch, id, number));
    let mut segments = std::pin::pin!(segments.buffered(SLOTS_IN_FLIGHT));
    while let Some(segment) = segments.next().await {
        match segment? {
            Ok(segment) => {
                let key = keys.slot(branch, &id, loaded.next());
                loaded.push(&key, segment)?;
            }
            Err(missing) => {
                return merged::load(bucket, keys, branch, id, sequence).await?.ok_or(missing);
            }
        }
    }
    Ok(loaded)
}

/// Reads a stream up to a number that is known to hold a segment, and an offset in it that ends a commit.
pub(crate) async fn up_to(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    id: StreamId,
    sequence: u64,
    offset: u64,
) -> Result<LoadedStream, ReadError> {
    let loaded = segments(bucket, keys, branch, id, sequence).await?;
    let ends = |segment: &Segment| segment.commits.iter().any(|commit| commit.end == offset);
    if !loaded.segments.last().map_or(offset == 0, ends) {
        let key = keys.slot(branch, &id, sequence);
        return Err(ReadError::Mismatch { key, why: format!("no commit in it ends at {offset}") });
    }
    Ok(loaded)
}
