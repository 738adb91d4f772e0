//! Origin of a tenant's data: written down when it is made, compared when a Tenant is made again over it.

use super::{Adoption, Creation, Initialized, TenantError, TenantStore};
use crate::bucket::{Settled, WriteError};
use crate::format::head::Head;
use crate::format::tenant::{DataSource, Stage, TenantRecord};
use crate::identity::{BranchName, TenantPath};
use crate::object::Condition;

impl TenantStore {
    /// Re-attaches data that came from `source`, without needing the source itself. None: there is none that was finished.
    ///
    /// # Errors
    /// [`TenantError::SourceDiffers`] when it came from something else.
    pub async fn reattach(
        &self,
        source: &DataSource,
        adoption: &Adoption,
    ) -> Result<Option<Initialized>, TenantError> {
        let record = self.bucket.find::<TenantRecord>(&self.keys.tenant()).await?;
        if record.is_none_or(|(record, _)| record.stage == Stage::Deleting) {
            return Ok(None);
        }
        let key = self.keys.head(&BranchName::main());
        let Some((head, _)) = self.bucket.find::<Head>(&key).await? else { return Ok(None) };
        let claimed = self.claim(Creation::KnownTenant, adoption, source, None).await?;
        self.finish_creation(&claimed).await?;
        Ok(Some(claimed.initialized(false, head)))
    }

    /// Notes the script that a pod is about to get, unless something was published: then it does not run.
    pub async fn note_script(&self, hash: &str) -> Result<(), TenantError> {
        let key = self.keys.tenant();
        let (record, etag) = self.find_own().await?.ok_or(TenantError::DataMissing { key: key.clone() })?;
        let source = Some(DataSource::InitScript { hash: Some(hash.to_owned()) });
        if record.source == source || self.head(&BranchName::main()).await?.state().is_some() {
            return Ok(());
        }
        let next = TenantRecord { put_id: self.put_id(), source: source.clone(), ..record };
        match self.bucket.settle(&key, &next, &Condition::IfMatch(etag)).await? {
            Settled::Mine(_) => Ok(()),
            Settled::Other(Some((other, _))) if other.owner == self.owner && other.source == source => Ok(()),
            Settled::Other(_) => Err(WriteError::Other { key }.into()),
        }
    }

    /// The record of data that is there, for a Tenant that asks for `asked`. What no release wrote down is believed.
    pub(super) async fn of_source(
        &self,
        record: TenantRecord,
        asked: &DataSource,
        head: &Head,
    ) -> Result<TenantRecord, TenantError> {
        let Some(kept) = &record.source else { return Ok(record) };
        // Nothing came of a script, or of none, before something was published.
        if head.state().is_none() && kept.begins_empty() && asked.begins_empty() {
            return Ok(TenantRecord { source: Some(asked.clone()), ..record });
        }
        if let (DataSource::InitScript { hash: Some(hash) }, DataSource::InitScript { hash: None }) =
            (kept, asked)
        {
            let location = self.keys.root().to_owned();
            return Err(TenantError::ScriptUnknown { location, hash: hash.clone() });
        }
        if kept.agrees(asked) && self.is_still(kept).await? {
            return Ok(record);
        }
        Err(TenantError::SourceDiffers {
            location: self.keys.root().to_owned(),
            kept: Box::new(kept.clone()),
            asked: Box::new(asked.clone()),
        })
    }

    /// Whether the name of a snapshot still is that snapshot's: it may be gone, but no other may have it.
    async fn is_still(&self, kept: &DataSource) -> Result<bool, TenantError> {
        let DataSource::Snapshot { tenant: Some(tenant), name, position: Some(position) } = kept else {
            return Ok(true);
        };
        let path = TenantPath::new(&*self.path.prefix, &*self.path.namespace, &**tenant)?;
        let other =
            Self::new(self.bucket.store.clone(), path, self.owner.clone(), self.bucket.environment.clone());
        match other.find_snapshot(name).await {
            Ok(entry) => Ok(entry.position == *position),
            Err(TenantError::SnapshotNotFound(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
