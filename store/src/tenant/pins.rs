//! Pins: promises that a position stays readable.

use jiff::Timestamp;

use super::{Pinned, TenantError, TenantStore};
use crate::format::ReadError;
use crate::format::pin::{Condemned, Pin, PinKind};
use crate::identity::{BranchName, MAX_NAME, check_label};
use crate::position::{DatedPosition, Position};
use crate::stream;

/// Most pins that are read when those of one name are looked for; more are an error.
pub const MAX_PINS: usize = 10_000;
/// Most lists of condemned objects at a time: each is a collector's run that has not ended.
pub const MAX_CONDEMNED_LISTS: usize = 100;

impl TenantStore {
    /// Pins the last commit of a branch that is durable, or its last one at or before a moment (for a worker that exports
    /// it). Remove it with [`Self::unpin`].
    pub async fn pin(
        &self,
        kind: PinKind,
        name: &str,
        uid: &str,
        branch: &BranchName,
        at: Option<Timestamp>,
    ) -> Result<Pinned, TenantError> {
        self.prove_owner().await?;
        let source = if let Some(time) = at {
            self.position_at(branch, time).await?
        } else {
            let last = self.last_durable(branch).await?;
            last.ok_or_else(|| TenantError::NothingPublished(branch.clone()))?
        };
        self.pin_position(kind, name, uid, &source).await
    }

    /// Refuses a branch that was never published: what is copied from it now would stay empty, whatever runs in its first
    /// wake.
    pub async fn check_published(&self, branch: &BranchName) -> Result<(), TenantError> {
        match self.head(branch).await?.state() {
            Some(_) => Ok(()),
            None => Err(TenantError::NothingPublished(branch.clone())),
        }
    }

    /// The position that opening a branch now would give; none if it is empty.
    pub(super) async fn last_durable(
        &self,
        branch: &BranchName,
    ) -> Result<Option<DatedPosition>, TenantError> {
        let mut head = self.head(branch).await?;
        let (base, last) = loop {
            let Some(base) = head.state().cloned() else { return Ok(None) };
            let Some(id) = head.stream.filter(|_| !head.sealed && head.manifest.is_some()) else {
                break (base, None);
            };
            let last = stream::last(&self.bucket, &self.keys, branch, id).await?;
            // A stream that is over may be merged, and then seems to be shorter than it was.
            let now = self.head(branch).await?;
            if (&now.manifest, now.stream, now.sealed) == (&head.manifest, head.stream, head.sealed) {
                break (base, last.map(|last| (id, last)));
            }
            head = now;
        };
        let Some((id, last)) = last else {
            return Ok(Some(DatedPosition { position: base, last_commit: head.last_commit }));
        };
        let (sequence, offset, stream_epoch) = (last.sequence, last.end(), Some(id.epoch));
        let last_commit = last.commits.last().map(|commit| commit.time);
        let position = Position { sequence, offset, stream_epoch, ..base };
        Ok(Some(DatedPosition { position, last_commit }))
    }

    /// Writes the pin, then reads every condemned list, then checks that the manifest exists: in this order,
    /// or a collector could miss the pin and delete what it promises.
    pub(super) async fn pin_position(
        &self,
        kind: PinKind,
        name: &str,
        uid: &str,
        source: &DatedPosition,
    ) -> Result<Pinned, TenantError> {
        check_label("name", name, MAX_NAME)?;
        let put_id = self.put_id();
        let pin = Pin {
            put_id,
            kind,
            name: name.to_owned(),
            uid: uid.to_owned(),
            position: source.position.clone(),
            created: self.bucket.environment.clock.now(),
        };
        let relative = format!("pins/{}-{name}-{put_id}", kind.as_str());
        self.bucket.create(&self.keys.relative(&relative), &pin).await?;
        let kept = !self.is_condemned(&source.position).await? && self.check_exists(&source.position).await?;
        if !kept {
            self.unpin(&relative).await?;
            return Err(TenantError::SourceExpired(Box::new(source.position.clone())));
        }
        Ok(Pinned { pin: relative, position: source.position.clone(), last_commit: source.last_commit })
    }

    async fn is_condemned(&self, position: &Position) -> Result<bool, TenantError> {
        let manifest = self.keys.manifest(position);
        let lists = self.bucket.list_all(&self.keys.condemned(), MAX_CONDEMNED_LISTS).await;
        for listed in lists.map_err(ReadError::from)? {
            if let Some((list, _)) = self.bucket.find::<Condemned>(&listed.key).await?
                && list.keys.iter().any(|key| self.keys.relative(key) == manifest)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes a pin. Idempotent.
    pub async fn unpin(&self, pin: &str) -> Result<(), TenantError> {
        self.prove_owner().await?;
        let key = self.keys.relative(pin);
        if !key.starts_with(&self.keys.pins()) {
            let why = "it is not the key of a pin".to_owned();
            return Err(ReadError::Mismatch { key, why }.into());
        }
        Ok(self.bucket.delete(&key).await.map_err(ReadError::from)?)
    }

    /// Removes every pin of this kind, name and uid (leftovers of interrupted attempts).
    pub async fn unpin_all(&self, kind: PinKind, name: &str, uid: &str) -> Result<(), TenantError> {
        self.prove_owner().await?;
        check_label("name", name, MAX_NAME)?;
        for (key, _) in self.pins_of(kind, name, uid).await? {
            self.bucket.delete(&key).await.map_err(ReadError::from)?;
        }
        Ok(())
    }
}
