//! The catalogue: native and Parquet snapshots of a tenant.

use jiff::Timestamp;

use super::{TenantError, TenantStore};
use crate::bucket::Settled;
use crate::format::ReadError;
use crate::format::catalogue::{CatalogueEntry, SnapshotData};
use crate::format::pin::PinKind;
use crate::identity::{BranchName, MAX_NAME, check_label};
use crate::object::{Condition, ObjectError};
use crate::position::DatedPosition;
use crate::state;

impl TenantStore {
    /// Takes a native snapshot of a branch, of all of it that is durable or as it was at a moment: a pin and a catalogue
    /// entry. Idempotent by uid.
    pub async fn snapshot(
        &self,
        name: &str,
        uid: &str,
        branch: &BranchName,
        at: Option<Timestamp>,
    ) -> Result<CatalogueEntry, TenantError> {
        self.prove_owner().await?;
        check_label("snapshot name", name, MAX_NAME)?;
        if let Some(entry) = self.own_entry(name, uid).await? {
            return Ok(entry);
        }
        let pinned = self.pin(PinKind::Snapshot, name, uid, branch, at).await?;
        let manifest = state::load_manifest(&self.bucket, &self.keys, &pinned.position).await?;
        let taken = DatedPosition { position: pinned.position, last_commit: pinned.last_commit };
        let data = SnapshotData::Native { pin: pinned.pin.clone() };
        let entry = self.record(name, uid, &taken, data, manifest.file_size).await;
        let lost = match &entry {
            Ok(entry) => entry.data != SnapshotData::Native { pin: pinned.pin.clone() },
            Err(error) => matches!(error, TenantError::SnapshotExists { .. }),
        };
        if lost {
            self.unpin(&pinned.pin).await?;
        }
        entry
    }

    /// Records a finished Parquet snapshot in the catalogue. Idempotent by uid.
    pub async fn record_parquet(
        &self,
        name: &str,
        uid: &str,
        taken: &DatedPosition,
        location: &str,
        size: u64,
    ) -> Result<CatalogueEntry, TenantError> {
        self.prove_owner().await?;
        check_label("snapshot name", name, MAX_NAME)?;
        self.record(name, uid, taken, SnapshotData::Parquet { location: location.to_owned() }, size).await
    }

    async fn record(
        &self,
        name: &str,
        uid: &str,
        taken: &DatedPosition,
        data: SnapshotData,
        size: u64,
    ) -> Result<CatalogueEntry, TenantError> {
        let entry = CatalogueEntry {
            put_id: self.put_id(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            taken_by: None,
            data,
            position: taken.position.clone(),
            last_commit: taken.last_commit,
            size,
            created: self.bucket.environment.clock.now(),
        };
        match self.bucket.settle(&self.keys.snapshot(name), &entry, &Condition::IfAbsent).await? {
            Settled::Mine(_) => Ok(entry),
            Settled::Other(Some((other, _))) if other.uid == uid => Ok(other),
            Settled::Other(Some((other, _))) => Err(exists(other)),
            Settled::Other(None) => Err(TenantError::SnapshotNotFound(name.to_owned())),
        }
    }

    /// Removes a snapshot's catalogue entry and pins, if `uid` took it. Idempotent. Parquet files stay: see
    /// [`crate::snapshot_folder::SnapshotFolder::delete`].
    pub async fn delete_snapshot(&self, name: &str, uid: &str) -> Result<(), TenantError> {
        // No tenant.json: the tenant was deleted with its catalogue and pins.
        if self.find_own().await?.is_none() {
            return Ok(());
        }
        self.prove_owner().await?;
        check_label("snapshot name", name, MAX_NAME)?;
        let key = self.keys.snapshot(name);
        if let Some((entry, _)) = self.bucket.find::<CatalogueEntry>(&key).await?
            && entry.uid == uid
        {
            self.bucket.delete(&key).await.map_err(ReadError::from)?;
        }
        self.unpin_all(PinKind::Snapshot, name, uid).await
    }

    /// One entry of the catalogue.
    pub async fn find_snapshot(&self, name: &str) -> Result<CatalogueEntry, TenantError> {
        check_label("snapshot name", name, MAX_NAME)?;
        let found = self.bucket.find::<CatalogueEntry>(&self.keys.snapshot(name)).await?;
        found.map(|(entry, _)| entry).ok_or_else(|| TenantError::SnapshotNotFound(name.to_owned()))
    }

    /// Names in the catalogue in order, at most `limit`, after `after`.
    pub async fn snapshots(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, TenantError> {
        let prefix = self.keys.catalogue();
        let after = after.map(|name| self.keys.snapshot(name));
        let listed: Result<_, ObjectError> = self.bucket.list_first(&prefix, after.as_deref(), limit).await;
        let names = listed.map_err(ReadError::from)?.into_iter();
        Ok(names.filter_map(|entry| entry.key.strip_prefix(&prefix).map(str::to_owned)).collect())
    }

    async fn own_entry(&self, name: &str, uid: &str) -> Result<Option<CatalogueEntry>, TenantError> {
        match self.bucket.find::<CatalogueEntry>(&self.keys.snapshot(name)).await? {
            Some((entry, _)) if entry.uid != uid => Err(exists(entry)),
            found => Ok(found.map(|(entry, _)| entry)),
        }
    }
}

fn exists(entry: CatalogueEntry) -> TenantError {
    TenantError::SnapshotExists { name: entry.name, uid: entry.uid }
}
