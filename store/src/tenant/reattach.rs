//! Data that a deleted object left behind, given to the object that was made again under its name.

use super::{BranchObject, BranchSource, CreatedBranch, TenantError, TenantStore};
use crate::bucket::{Settled, WriteError};
use crate::format::ReadError;
use crate::format::catalogue::{CatalogueEntry, SnapshotData};
use crate::format::head::Head;
use crate::format::pin::{Pin, PinKind};
use crate::identity::BranchName;
use crate::object::Condition;
use crate::position::{DatedPosition, Position};

impl TenantStore {
    /// Gives the branch that the object with the uid `from` left behind to `object`, if that has the name of the one before
    /// and the branch began where `source` would begin. Idempotent. The caller knows that `from` is gone for good and that no pod serves the branch.
    ///
    /// # Errors
    /// [`TenantError::BranchNameTaken`] when a third object has it by now; [`TenantError::BranchKept`] when it is kept for
    /// an object of another name; [`TenantError::BranchDiffers`] when it began elsewhere.
    pub async fn reattach_branch(
        &self,
        name: &BranchName,
        from: &str,
        object: BranchObject<'_>,
        source: &BranchSource,
    ) -> Result<CreatedBranch, TenantError> {
        let uid = object.uid;
        self.prove_owner().await?;
        let key = self.keys.head(name);
        let Some((head, etag)) = self.bucket.find::<Head>(&key).await?.filter(|(head, _)| !head.deleted)
        else {
            return Err(TenantError::BranchNotFound(name.clone()));
        };
        if head.uid.as_deref() == Some(uid) {
            // An earlier attempt may have died before this.
            self.unpin_all(PinKind::Branch, name.as_str(), from).await?;
            return Ok(CreatedBranch { head });
        }
        if head.uid.as_deref() != Some(from) {
            return Err(TenantError::BranchNameTaken { name: name.clone(), uid: head.uid });
        }
        if head.object_name() != object.name {
            return Err(TenantError::BranchKept {
                name: name.clone(),
                object: head.object_name().to_owned(),
            });
        }
        let pins = self.pins_of(PinKind::Branch, name.as_str(), from).await?;
        let began = pins.first().map(|(_, pin)| pin.position.clone());
        if !self.begins_there(source, began.as_ref()).await? {
            return Err(TenantError::BranchDiffers { name: name.clone(), began: began.map(Box::new) });
        }
        // The new pins first: what they promise is promised at every moment.
        for (_, pin) in pins {
            let position = DatedPosition { position: pin.position, last_commit: None };
            self.pin_position(PinKind::Branch, name.as_str(), uid, &position).await?;
        }
        let (name_now, uid_now) = (object.name.to_owned(), uid.to_owned());
        let next = Head { put_id: self.put_id(), uid: Some(uid_now), object: Some(name_now), ..head };
        match self.bucket.settle(&key, &next, &Condition::IfMatch(etag)).await? {
            Settled::Mine(_) => {}
            Settled::Other(Some((other, _))) if other.uid.as_deref() == Some(uid) => {}
            Settled::Other(_) => return Err(WriteError::Other { key }.into()),
        }
        self.unpin_all(PinKind::Branch, name.as_str(), from).await?;
        Ok(CreatedBranch { head: next })
    }

    /// Records which object the branch is of where an earlier release did not record its name. The caller knows that no pod
    /// serves the branch. What another object has is left alone. Idempotent.
    pub async fn record_object(
        &self,
        name: &BranchName,
        object: BranchObject<'_>,
    ) -> Result<(), TenantError> {
        self.prove_owner().await?;
        let key = self.keys.head(name);
        let Some((head, etag)) = self.bucket.find::<Head>(&key).await? else { return Ok(()) };
        if head.deleted || head.uid.as_deref() != Some(object.uid) || head.object.is_some() {
            return Ok(());
        }
        let next = Head { put_id: self.put_id(), object: Some(object.name.to_owned()), ..head };
        match self.bucket.settle(&key, &next, &Condition::IfMatch(etag)).await? {
            Settled::Mine(_) => Ok(()),
            Settled::Other(_) => Err(WriteError::Other { key }.into()),
        }
    }

    /// Whether a branch that began at `began` (none: empty) is one that `source` would make.
    async fn begins_there(
        &self,
        source: &BranchSource,
        began: Option<&Position>,
    ) -> Result<bool, TenantError> {
        Ok(match (source, began) {
            (BranchSource::Branch(_), None) => true,
            (BranchSource::Branch(branch), Some(began)) => began.branch == *branch,
            (BranchSource::Snapshot(name), Some(began)) => self.find_snapshot(name).await?.position == *began,
            (BranchSource::Position(position), Some(began)) => position.position == *began,
            (BranchSource::Moment(branch, time), Some(began)) => {
                self.position_at(branch, *time).await?.position == *began
            }
            (BranchSource::Snapshot(_) | BranchSource::Moment(..) | BranchSource::Position(_), None) => false,
        })
    }

    /// Gives the snapshot that the object `from` left behind to the object `uid`, if it is of `branch` and native as
    /// wanted. Idempotent. The caller knows that `from` is gone for good. Files of a Parquet snapshot:
    /// [`crate::snapshot_folder::SnapshotFolder::reattach`].
    ///
    /// # Errors
    /// [`TenantError::SnapshotExists`] when it is another object's, of another branch or of the other kind.
    pub async fn reattach_snapshot(
        &self,
        name: &str,
        from: &str,
        uid: &str,
        branch: &BranchName,
        native: bool,
    ) -> Result<CatalogueEntry, TenantError> {
        self.prove_owner().await?;
        let key = self.keys.snapshot(name);
        let Some((entry, etag)) = self.bucket.find::<CatalogueEntry>(&key).await? else {
            return Err(TenantError::SnapshotNotFound(name.to_owned()));
        };
        if entry.uid == uid {
            self.unpin_all(PinKind::Snapshot, name, from).await?;
            return Ok(entry);
        }
        let is_native = matches!(entry.data, SnapshotData::Native { .. });
        if entry.uid != from || entry.position.branch != *branch || is_native != native {
            return Err(TenantError::SnapshotExists { name: entry.name, uid: entry.uid });
        }
        let data = match &entry.data {
            SnapshotData::Parquet { .. } => entry.data.clone(),
            SnapshotData::Native { .. } => {
                let (position, last_commit) = (entry.position.clone(), entry.last_commit);
                let source = DatedPosition { position, last_commit };
                let pinned = self.pin_position(PinKind::Snapshot, name, uid, &source).await?;
                SnapshotData::Native { pin: pinned.pin }
            }
        };
        let (uid, taken_by) = (uid.to_owned(), entry.taken_by.or(Some(entry.uid)));
        let next = CatalogueEntry { put_id: self.put_id(), uid, taken_by, data, ..entry };
        match self.bucket.settle(&key, &next, &Condition::IfMatch(etag)).await? {
            Settled::Mine(_) => {}
            Settled::Other(_) => return Err(WriteError::Other { key }.into()),
        }
        self.unpin_all(PinKind::Snapshot, name, from).await?;
        Ok(next)
    }

    /// Pins of this kind, name and uid, with their keys.
    pub(super) async fn pins_of(
        &self,
        kind: PinKind,
        name: &str,
        uid: &str,
    ) -> Result<Vec<(String, Pin)>, TenantError> {
        let prefix = format!("{}{}-{name}-", self.keys.pins(), kind.as_str());
        let mut pins = Vec::new();
        let listed = self.bucket.list_all(&prefix, super::pins::MAX_PINS).await.map_err(ReadError::from)?;
        for listed in listed {
            // `a-b` also begins with `a-`: only the content says whose pin it is.
            if let Some((pin, _)) = self.bucket.find::<Pin>(&listed.key).await?
                && (pin.kind, pin.name.as_str(), pin.uid.as_str()) == (kind, name, uid)
            {
                pins.push((listed.key, pin));
            }
        }
        Ok(pins)
    }
}
