//! Ending the stream of an owner before: its next PUT fails, and it knows that it lost.

use jiff::Timestamp;

use super::loaded::LoadedStream;
use super::read::{check_place, read_on};
use crate::bucket::{Bucket, Settled, WriteError};
use crate::format::ReadError;
use crate::format::segment::{Seal, Slot};
use crate::identity::{BranchName, PutId};
use crate::keys::Keys;
use crate::mutation::{Mutation, broken};
use crate::object::Condition;
use crate::position::StreamId;

/// Why a stream could not be sealed.
#[derive(Debug)]
pub(crate) enum SealError {
    /// An owner of this higher epoch sealed it.
    Lost(u64),
    /// A slot could not be read.
    Read(ReadError),
    /// The seal could not be written.
    Write(WriteError),
}
impl From<ReadError> for SealError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Reads a stream to its end and puts a seal of `epoch` there. Nothing can follow what is returned.
pub(crate) async fn seal(
    bucket: &Bucket,
    keys: &Keys,
    branch: &BranchName,
    id: StreamId,
    epoch: u64,
    last_commit: Option<Timestamp>,
) -> Result<LoadedStream, SealError> {
    let mut loaded = LoadedStream::empty(id);
    loop {
        read_on(bucket, keys, branch, &mut loaded).await?;
        if let Some(later) = loaded.seals.iter().map(|seal| seal.epoch).find(|other| *other >= epoch) {
            return Err(SealError::Lost(later));
        }
        if broken(Mutation::SkipTheSeal) {
            return Ok(loaded);
        }
        let next = loaded.next();
        let key = keys.slot(branch, &id, next);
        let last = loaded.segments.last().and_then(|last| last.commits.last()).map(|commit| commit.time);
        let seal = Slot::Seal(Seal {
            put_id: PutId::from_bytes(bucket.environment.random_id()),
            branch: branch.clone(),
            stream: id,
            sequence: next,
            epoch,
            last_commit: last.max(last_commit),
        });
        match bucket.settle(&key, &seal, &Condition::IfAbsent).await.map_err(SealError::Write)? {
            Settled::Mine(_) => return Ok(loaded),
            Settled::Other(None) => {}
            // Someone was faster: an owner before with a segment or a seal, or one after.
            Settled::Other(Some((slot, _))) => {
                check_place(&key, &slot, branch, id, next)?;
                loaded.take(&key, slot)?;
            }
        }
    }
}
