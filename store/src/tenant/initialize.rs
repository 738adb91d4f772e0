//! Claiming a prefix and creating main, or finding both.

use std::sync::atomic::Ordering;

use super::{Adoption, Creation, Initialized, TenantError, TenantStore};
use crate::bucket::Settled;
use crate::encryption::wrapped_by;
use crate::format::head::Head;
use crate::format::tenant::{DataSource, Stage, TenantRecord};
use crate::identity::{BranchName, Owner};
use crate::object::{Condition, ETag};

/// Most writes of `tenant.json` in one claim. One fails if another writer comes between our read and our write.
const MAX_RACES: usize = 8;

/// Source of a tenant that is a copy.
pub(super) struct Copied<'a> {
    /// Name of the copy in `tenant.json` while it is under way.
    pub(super) label: String,
    /// The tenant that it is copied from.
    pub(super) source: &'a TenantStore,
}

/// Result of claiming the prefix.
pub(super) struct Claimed {
    pub(super) record: TenantRecord,
    pub(super) etag: ETag,
    pub(super) adopted_from: Option<Owner>,
}

impl Claimed {
    pub(super) fn initialized(self, created: bool, head: Head) -> Initialized {
        let wrapped_by = self.record.data_key.as_deref().map(|wrapped| wrapped_by(wrapped).to_owned());
        Initialized { created, adopted_from: self.adopted_from, head, wrapped_by }
    }
}

/// The names that data which is copied has had.
async fn former_names(copied: Option<&Copied<'_>>) -> Result<Vec<String>, TenantError> {
    match copied {
        Some(copied) => copied.source.names_for_a_copy().await,
        None => Ok(Vec::new()),
    }
}

impl TenantStore {
    /// [`Self::initialize_from`] nothing: a database that begins empty.
    pub async fn initialize(
        &self,
        creation: Creation,
        adoption: &Adoption,
    ) -> Result<Initialized, TenantError> {
        self.initialize_from(&DataSource::Empty, creation, adoption).await
    }

    /// Claims the prefix and creates main's HEAD (epoch 0, sealed, never published), or finds both. Idempotent. `source` is
    /// one that begins empty.
    ///
    /// Data of an earlier Tenant of the same cluster and namespace is re-attached if it came from `source`; other data only
    /// as `adoption` names. Nothing is written when data is missing, owned elsewhere or of another source.
    pub async fn initialize_from(
        &self,
        source: &DataSource,
        creation: Creation,
        adoption: &Adoption,
    ) -> Result<Initialized, TenantError> {
        let claimed = self.claim(creation, adoption, source, None).await?;
        if let Some(snapshot) = &claimed.record.restoring
            && claimed.record.stage == Stage::Creating
        {
            return Err(TenantError::RestoreUnfinished(snapshot.clone()));
        }
        let main = BranchName::main();
        let key = self.keys.head(&main);
        let (created, head) = match (self.bucket.find::<Head>(&key).await?, claimed.record.stage) {
            (Some((head, _)), _) => (false, head),
            (None, Stage::Creating) if creation == Creation::NewTenant => {
                let head = self.new_head(&main, None, None);
                match self.bucket.settle(&key, &head, &Condition::IfAbsent).await? {
                    Settled::Other(Some((other, _))) => (false, other),
                    _ => (true, head),
                }
            }
            (None, _) => return Err(TenantError::DataMissing { key }),
        };
        self.finish_creation(&claimed).await?;
        Ok(claimed.initialized(created, head))
    }

    /// Makes `tenant.json` name this owner, where that is allowed.
    pub(super) async fn claim(
        &self,
        creation: Creation,
        adoption: &Adoption,
        source: &DataSource,
        copied: Option<&Copied<'_>>,
    ) -> Result<Claimed, TenantError> {
        let key = self.keys.tenant();
        let mut adopted_from = None;
        for _ in 0..MAX_RACES {
            let found = self.bucket.find::<TenantRecord>(&key).await?;
            let (next, condition) = match found {
                None => (self.first_record(creation, source, copied).await?, Condition::IfAbsent),
                Some((record, _)) if record.stage == Stage::Deleting => {
                    let ours = record.owner.same_namespace(&self.owner);
                    return Err(if ours { self.being_deleted() } else { self.owned_elsewhere(record) });
                }
                Some((record, etag)) if record.owner == self.owner => {
                    self.proven.store(true, Ordering::Release);
                    let (record, etag) = self.rewrapped(record, etag).await?;
                    return Ok(Claimed { record, etag, adopted_from });
                }
                Some((record, etag)) => {
                    let taken = self.adopted(record, adoption, source, copied).await?;
                    adopted_from =
                        taken.adopted_from.clone().filter(|from| !from.same_namespace(&self.owner));
                    (taken, Condition::IfMatch(etag))
                }
            };
            if let Settled::Mine(etag) = self.bucket.settle(&key, &next, &condition).await? {
                self.proven.store(true, Ordering::Release);
                return Ok(Claimed { record: next, etag, adopted_from });
            }
        }
        Err(crate::bucket::WriteError::Other { key }.into())
    }

    async fn first_record(
        &self,
        creation: Creation,
        source: &DataSource,
        copied: Option<&Copied<'_>>,
    ) -> Result<TenantRecord, TenantError> {
        if creation == Creation::KnownTenant {
            return Err(TenantError::DataMissing { key: self.keys.tenant() });
        }
        // A prefix that was emptied properly has nothing left; anything else is somebody's data.
        if !self
            .bucket
            .list_first(self.keys.root(), None, 1)
            .await
            .map_err(crate::format::ReadError::from)?
            .is_empty()
        {
            return Err(TenantError::OwnerUnknown { location: self.keys.root().to_owned() });
        }
        Ok(TenantRecord {
            put_id: self.put_id(),
            owner: self.owner.clone(),
            stage: Stage::Creating,
            created: self.bucket.environment.clock.now(),
            adopted_from: None,
            restoring: copied.map(|copied| copied.label.clone()),
            former_names: former_names(copied).await?,
            source: Some(source.clone()),
            data_key: self.new_data_key()?,
        })
    }

    /// The record of another owner as ours, if that owner is one that we may take over from, and its data is what we ask for.
    async fn adopted(
        &self,
        record: TenantRecord,
        adoption: &Adoption,
        source: &DataSource,
        copied: Option<&Copied<'_>>,
    ) -> Result<TenantRecord, TenantError> {
        let from = &record.owner;
        let named =
            adoption.from.as_ref().is_some_and(|(c, n)| *c == from.cluster_id && *n == from.namespace_uid);
        let recreated = from.same_namespace(&self.owner);
        if !recreated && !named && !adoption.clusters.contains(&from.cluster_id) {
            return Err(self.owned_elsewhere(record));
        }
        let key = self.keys.head(&BranchName::main());
        let head = self.bucket.find::<Head>(&key).await?.map(|(head, _)| head);
        if record.stage == Stage::Created && head.is_none() {
            return Err(TenantError::DataMissing { key });
        }
        let record = match &head {
            // A Tenant that names whose data it takes, and no source, takes it whatever it came from.
            Some(_) if named && *source == DataSource::Empty => record,
            Some(head) => self.of_source(record, source, head).await?,
            // Nothing came of it.
            None => TenantRecord {
                source: Some(source.clone()),
                restoring: copied.map(|copied| copied.label.clone()),
                former_names: former_names(copied).await?,
                ..record
            },
        };
        let adopted_from = if recreated { record.adopted_from } else { Some(record.owner) };
        Ok(TenantRecord { put_id: self.put_id(), owner: self.owner.clone(), adopted_from, ..record })
    }

    /// Notes that main exists, so that its absence is a loss from now on.
    pub(super) async fn finish_creation(&self, claimed: &Claimed) -> Result<(), TenantError> {
        if claimed.record.stage != Stage::Creating {
            return Ok(());
        }
        let key = self.keys.tenant();
        let next = TenantRecord {
            put_id: self.put_id(),
            stage: Stage::Created,
            restoring: None,
            ..claimed.record.clone()
        };
        match self.bucket.settle(&key, &next, &Condition::IfMatch(claimed.etag.clone())).await? {
            Settled::Mine(_) => Ok(()),
            // Another replica of the operator got there first.
            Settled::Other(Some((other, _)))
                if other.owner == self.owner && other.stage == Stage::Created =>
            {
                Ok(())
            }
            Settled::Other(_) => Err(crate::bucket::WriteError::Other { key }.into()),
        }
    }
}
