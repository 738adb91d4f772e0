//! Finding a past moment of a branch: from HEAD through the parents of its manifests, then within one stream. Never by
//! listing manifests: what ended attempts left lies among them.

use jiff::Timestamp;

use super::{TenantError, TenantStore};
use crate::format::ReadError;
use crate::format::manifest::Manifest;
use crate::format::segment::Commit;
use crate::identity::BranchName;
use crate::object::ObjectError;
use crate::position::{DatedPosition, Position, StreamId};
use crate::state;
use crate::stream::{self, LoadedStream};

/// The WAL after a manifest that belongs to the branch.
struct Following {
    id: StreamId,
    /// Its last segment, and the offset in it that ends the last commit.
    sequence: u64,
    offset: u64,
}

impl TenantStore {
    /// The last commit of a branch at or before `time`: a few requests for each manifest since then, whatever the size.
    ///
    /// # Errors
    /// [`TenantError::BeforeHistory`] when nothing that is kept is so old.
    pub async fn position_at(
        &self,
        branch: &BranchName,
        time: Timestamp,
    ) -> Result<DatedPosition, TenantError> {
        let latest = self.last_durable(branch).await?;
        let latest = latest.ok_or_else(|| TenantError::NothingPublished(branch.clone()))?;
        if latest.last_commit.is_some_and(|commit| commit <= time) {
            return Ok(latest);
        }
        let (mut position, mut following) = (latest.position.base(), following(&latest.position));
        loop {
            let manifest = self.kept_manifest(&position).await?;
            // Nothing was ever committed in it: it is as old as the branch.
            let since = manifest.last_commit.unwrap_or(manifest.written);
            if since <= time {
                let within = match &following {
                    Some(following) => self.last_commit_before(&position, following, time).await?,
                    None => None,
                };
                let Some((sequence, offset, commit)) = within else {
                    return Ok(DatedPosition { position, last_commit: manifest.last_commit });
                };
                let stream_epoch = following.map(|following| following.id.epoch);
                let position = Position { sequence, offset, stream_epoch, ..position };
                return Ok(DatedPosition { position, last_commit: Some(commit) });
            }
            let Some(parent) = &manifest.parent else {
                return Err(TenantError::BeforeHistory { branch: branch.clone(), time, oldest: since });
            };
            following = match &manifest.parent_end {
                Some(end) => Some(Following { id: end.stream, sequence: end.sequence, offset: end.length }),
                // The branch began there.
                None => self::following(parent),
            };
            position = parent.base();
        }
    }

    async fn kept_manifest(&self, position: &Position) -> Result<Manifest, TenantError> {
        match state::load_manifest(&self.bucket, &self.keys, position).await {
            Err(ReadError::Object(ObjectError::NotFound { .. })) => {
                Err(TenantError::SourceExpired(Box::new(position.clone())))
            }
            found => Ok(found?),
        }
    }

    /// Number, end and time of the last commit at or before `time` in a stream; none if all are later.
    async fn last_commit_before(
        &self,
        position: &Position,
        following: &Following,
        time: Timestamp,
    ) -> Result<Option<(u64, u64, Timestamp)>, TenantError> {
        let branch = &position.branch;
        let (mut found, mut from, mut to) = (None, 1, following.sequence);
        let (mut alone, mut merged) = (Vec::new(), None::<LoadedStream>);
        // Commit times only grow: a binary search for the last segment that begins early enough.
        while from <= to {
            let middle = from + (to - from) / 2;
            if merged.is_none() {
                match stream::segment(&self.bucket, &self.keys, branch, following.id, middle).await? {
                    Ok(segment) => alone = segment.commits,
                    Err(_) => merged = Some(self.merged(position, following).await?),
                }
            }
            let commits = match &merged {
                // Its numbers begin with 1.
                Some(stream) => &stream.segments[usize::try_from(middle - 1).unwrap_or(usize::MAX)].commits,
                None => &alone,
            };
            let early = |commit: &&Commit| commit.time <= time && commit.end <= following.offset;
            match commits.iter().rev().find(early) {
                Some(commit) => {
                    found = Some((middle, commit.end, commit.time));
                    from = middle + 1;
                }
                None => to = middle - 1,
            }
        }
        Ok(found)
    }

    /// All of a stream of which a part is not where it was.
    async fn merged(&self, position: &Position, following: &Following) -> Result<LoadedStream, TenantError> {
        let (branch, last) = (&position.branch, following.sequence);
        match stream::segments(&self.bucket, &self.keys, branch, following.id, last).await {
            // Collected since its manifest was read.
            Err(ReadError::Object(ObjectError::NotFound { .. })) => {
                Err(TenantError::SourceExpired(Box::new(position.clone())))
            }
            stream => Ok(stream?),
        }
    }
}

fn following(position: &Position) -> Option<Following> {
    let (sequence, offset) = (position.sequence, position.offset);
    position.stream().map(|id| Following { id, sequence, offset })
}
