//! The tenant's data key, as `tenant.json` keeps it.

use std::sync::Arc;

use crate::bucket::{Settled, WriteError};
use crate::encryption::{ClassKeys, DataKey, KeyError, wrapped_by};
use crate::format::tenant::TenantRecord;
use crate::identity::TenantPath;
use crate::object::{Condition, ETag};

use super::{TenantError, TenantStore};

/// A tenant's data key, which a key of its class wraps.
#[derive(Debug, Clone)]
pub struct WrappedDataKey {
    wrapped: String,
    path: TenantPath,
}

impl WrappedDataKey {
    /// The key itself, for a process that is to read or write the tenant's data.
    pub fn unwrap(&self, keys: Option<&ClassKeys>) -> Result<DataKey, KeyError> {
        keys.ok_or(KeyError::NotGiven)?.unwrap(&self.wrapped, &self.path)
    }
}

impl TenantStore {
    /// The key of the tenant's data, for a process that is to read or write it; none if it is not encrypted.
    pub async fn data_key(&self) -> Result<Option<DataKey>, TenantError> {
        self.unwrapped(&self.own_record().await?.0)
    }

    /// The key of the tenant's data as it is wrapped, for which no key of the class is needed; none if not encrypted.
    pub async fn wrapped_data_key(&self) -> Result<Option<WrappedDataKey>, TenantError> {
        Ok(self.wrapped(&self.own_record().await?.0))
    }

    fn wrapped(&self, record: &TenantRecord) -> Option<WrappedDataKey> {
        let wrapped = record.data_key.clone()?;
        Some(WrappedDataKey { wrapped, path: self.path.clone() })
    }

    async fn own_record(&self) -> Result<(TenantRecord, ETag), TenantError> {
        let key = self.keys.tenant();
        self.find_own().await?.ok_or(TenantError::DataMissing { key })
    }

    /// Has the class's current key wrap the data key; returns the name of the key that wraps it now, none if the tenant
    /// is not encrypted.
    pub async fn rewrap_data_key(&self) -> Result<Option<String>, TenantError> {
        let (record, etag) = self.own_record().await?;
        let (record, _) = self.rewrapped(record, etag).await?;
        Ok(record.data_key.as_deref().map(|wrapped| wrapped_by(wrapped).to_owned()))
    }

    /// This store with the tenant's data key, which the record keeps wrapped.
    pub(super) fn unlocked(&self, record: &TenantRecord) -> Result<Self, TenantError> {
        Ok(self.clone().with_data_key(self.unwrapped(record)?.as_ref()))
    }

    fn unwrapped(&self, record: &TenantRecord) -> Result<Option<DataKey>, TenantError> {
        let wrapped = self.wrapped(record);
        Ok(wrapped.map(|wrapped| wrapped.unwrap(self.class_keys.as_deref())).transpose()?)
    }

    /// A data key for a new tenant, wrapped; none if its class does not encrypt.
    pub(super) fn new_data_key(&self) -> Result<Option<String>, KeyError> {
        let wrap = |keys: &Arc<ClassKeys>| keys.wrap(&DataKey::random(&self.bucket.environment), &self.path);
        self.class_keys.as_ref().map(wrap).transpose()
    }

    /// Has the class's current key wrap the data key. What the record keeps, and its version.
    pub(super) async fn rewrapped(
        &self,
        record: TenantRecord,
        etag: ETag,
    ) -> Result<(TenantRecord, ETag), TenantError> {
        let (Some(wrapped), Some(keys)) = (&record.data_key, &self.class_keys) else {
            return Ok((record, etag));
        };
        if wrapped_by(wrapped) == keys.current() {
            return Ok((record, etag));
        }
        let data_key = Some(keys.wrap(&keys.unwrap(wrapped, &self.path)?, &self.path)?);
        let next = TenantRecord { put_id: self.put_id(), data_key, ..record.clone() };
        let condition = Condition::IfMatch(etag.clone());
        match self.bucket.settle(&self.keys.tenant(), &next, &condition).await? {
            Settled::Mine(etag) => Ok((next, etag)),
            Settled::Other(_) => Err(WriteError::Other { key: self.keys.tenant() }.into()),
        }
    }
}
