//! Creating and deleting branches.

use super::{BranchObject, BranchSource, CreatedBranch, Pinned, TenantError, TenantStore};
use crate::bucket::{Settled, WriteError};
use crate::format::catalogue::SnapshotData;
use crate::format::head::Head;
use crate::format::pin::PinKind;
use crate::identity::BranchName;
use crate::object::{Condition, ETag};
use crate::position::DatedPosition;
use crate::stream::{self, SealError};

/// Most writes of HEAD in creating or deleting a branch. One fails if the holder publishes or the name changes hands.
const MAX_RACES: usize = 16;

impl TenantStore {
    /// Creates a branch; at most 5 object operations once ownership is proven. A repeat for an object
    /// of the same uid finds its own branch.
    pub async fn create_branch(
        &self,
        name: &BranchName,
        object: BranchObject<'_>,
        source: &BranchSource,
    ) -> Result<CreatedBranch, TenantError> {
        let uid = object.uid;
        self.prove_owner().await?;
        if *name == BranchName::main() {
            return Err(TenantError::BranchNameTaken { name: name.clone(), uid: None });
        }
        let pinned = match self.resolve(source).await? {
            Some(from) => Some(self.pin_position(PinKind::Branch, name.as_str(), uid, &from).await?),
            None => None,
        };
        let start = pinned.as_ref().map(|pinned| DatedPosition {
            position: pinned.position.clone(),
            last_commit: pinned.last_commit,
        });
        let head = self.new_head(name, Some(object), start);
        match self.put_new_head(&head, uid).await {
            Ok(Settled::Mine(_)) => Ok(CreatedBranch { head }),
            Ok(Settled::Other(other)) => {
                self.drop_pin(pinned).await?;
                match other {
                    // Its own: what asks for it again is late.
                    Some((other, _)) if other.deleted => Err(TenantError::BranchNotFound(name.clone())),
                    Some((other, _)) if other.uid.as_deref() == Some(uid) => {
                        Ok(CreatedBranch { head: other })
                    }
                    other => Err(TenantError::BranchNameTaken {
                        name: name.clone(),
                        uid: other.and_then(|(head, _)| head.uid),
                    }),
                }
            }
            Err(refused @ WriteError::Refused(_)) => {
                self.drop_pin(pinned).await?;
                Err(refused.into())
            }
            // The branch may exist: its pin stays.
            Err(doubt) => Err(doubt.into()),
        }
    }

    /// Creates a HEAD, or replaces that of a deleted branch of another object.
    async fn put_new_head(&self, head: &Head, uid: &str) -> Result<Settled<Head>, WriteError> {
        let key = self.keys.head(&head.branch);
        let mut condition = Condition::IfAbsent;
        for _ in 0..MAX_RACES {
            match self.bucket.settle(&key, head, &condition).await? {
                Settled::Other(Some((other, etag))) if other.deleted && other.uid.as_deref() != Some(uid) => {
                    condition = Condition::IfMatch(etag);
                }
                settled => return Ok(settled),
            }
        }
        Err(WriteError::Other { key })
    }

    async fn drop_pin(&self, pinned: Option<Pinned>) -> Result<(), TenantError> {
        match pinned {
            Some(pinned) => self.unpin(&pinned.pin).await,
            None => Ok(()),
        }
    }

    async fn resolve(&self, source: &BranchSource) -> Result<Option<DatedPosition>, TenantError> {
        match source {
            BranchSource::Branch(branch) => self.last_durable(branch).await,
            BranchSource::Moment(branch, time) => self.position_at(branch, *time).await.map(Some),
            BranchSource::Position(position) => Ok(Some(position.clone())),
            BranchSource::Snapshot(name) => {
                let entry = self.find_snapshot(name).await?;
                match entry.data {
                    SnapshotData::Native { .. } => {
                        Ok(Some(DatedPosition { position: entry.position, last_commit: entry.last_commit }))
                    }
                    SnapshotData::Parquet { .. } => Err(TenantError::SourceUnsupported {
                        name: name.clone(),
                        why: "a branch starts from a native snapshot, and this one is Parquet".into(),
                    }),
                }
            }
        }
    }

    /// Ends the branch: fences its writer and marks its HEAD deleted in one write, seals its WAL, and removes the pin of
    /// its starting point. Idempotent. A branch that another uid created is left alone. Its objects become garbage.
    pub async fn delete_branch(&self, name: &BranchName, uid: &str) -> Result<(), TenantError> {
        if *name == BranchName::main() {
            return Err(TenantError::MainBranch);
        }
        // No tenant.json: the tenant was deleted with all its branches.
        if self.find_own().await?.is_none() {
            return Ok(());
        }
        self.prove_owner().await?;
        let key = self.keys.head(name);
        let (head, etag) = self.head_or_mark(name, uid).await?;
        if head.uid.as_deref() == Some(uid)
            && let Some(before) = self.fence(&key, head, etag).await?
        {
            self.seal_stream(&before).await;
        }
        self.unpin_all(PinKind::Branch, name.as_str(), uid).await
    }

    /// HEAD as it is, or, where there is none, the mark of a branch that was deleted before it was made: the request to
    /// make it may still be on its way, and must not find its place free once its pin is gone.
    async fn head_or_mark(&self, name: &BranchName, uid: &str) -> Result<(Head, ETag), TenantError> {
        let key = self.keys.head(name);
        for _ in 0..MAX_RACES {
            if let Some(found) = self.bucket.find::<Head>(&key).await? {
                return Ok(found);
            }
            let mark = Head { deleted: true, uid: Some(uid.to_owned()), ..self.new_head(name, None, None) };
            match self.bucket.settle(&key, &mark, &Condition::IfAbsent).await? {
                Settled::Mine(etag) => return Ok((mark, etag)),
                Settled::Other(Some(found)) => return Ok(found),
                Settled::Other(None) => {}
            }
        }
        Err(WriteError::Other { key }.into())
    }

    /// The writer's next segment fails, so that it stops at once and not when it looks at HEAD again.
    async fn seal_stream(&self, before: &Head) {
        let Some(id) = before.stream.filter(|_| before.manifest.is_some() && !before.sealed) else { return };
        let Head { branch, epoch, last_commit, .. } = before;
        match stream::seal(&self.bucket, &self.keys, branch, id, epoch + 1, *last_commit).await {
            Ok(_) | Err(SealError::Lost(_)) => {}
            // Its writer still stops, within the time that a proof of ownership holds.
            Err(error) => tracing::warn!(%branch, ?error, "the WAL of a deleted branch was not sealed"),
        }
    }

    /// Ends every owner's right to the branch for good. Returns HEAD as it was before; none if it was deleted already, or
    /// the name is another branch's or another object's by now.
    async fn fence(&self, key: &str, mut head: Head, mut etag: ETag) -> Result<Option<Head>, TenantError> {
        for _ in 0..MAX_RACES {
            if head.deleted {
                return Ok(None);
            }
            let next = Head {
                put_id: self.put_id(),
                epoch: head.epoch + 1,
                holder: None,
                sealed: true,
                deleted: true,
                ..head.clone()
            };
            match self.bucket.settle(key, &next, &Condition::IfMatch(etag)).await? {
                Settled::Mine(_) => return Ok(Some(head)),
                Settled::Other(None) => return Ok(None),
                Settled::Other(Some((other, _))) if other.lineage != head.lineage => return Ok(None),
                // Meanwhile it was given to another object.
                Settled::Other(Some((other, _))) if other.uid != head.uid => return Ok(None),
                Settled::Other(Some(newer)) => (head, etag) = newer,
            }
        }
        Err(WriteError::Other { key: key.to_owned() }.into())
    }
}
