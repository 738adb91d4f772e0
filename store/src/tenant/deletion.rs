//! Deleting everything under a tenant's prefix.

use futures::{StreamExt, TryStreamExt, stream};

use super::{TenantError, TenantStore};
use crate::bucket::{Settled, WriteError};
use crate::format::ReadError;
use crate::format::tenant::{Stage, TenantRecord};
use crate::object::{Condition, Listed, MAX_LIST_PAGE};

/// Most listings of `MAX_LIST_PAGE` objects that empty a prefix, to which a writer that did not know yet may add.
pub const MAX_DELETE_ROUNDS: usize = 10_000;
/// DELETEs under way at a time.
const DELETES_IN_FLIGHT: usize = 16;
/// Rounds after which what still appears is reported instead of chased.
const MAX_LATE_ROUNDS: usize = 16;

impl TenantStore {
    /// Proves ownership, deletes every object, proves the prefix empty. Idempotent; Ok also if there is nothing.
    ///
    /// HEADs go first, so that whoever still holds a branch finds itself fenced; `tenant.json` goes last, so that
    /// an interrupted deletion can prove its right again.
    pub async fn delete_all(&self) -> Result<(), TenantError> {
        let Some((record, etag)) = self.find_own().await? else {
            let left = self.first_objects(1).await?;
            let location = self.keys.root().to_owned();
            return if left.is_empty() { Ok(()) } else { Err(TenantError::OwnerUnknown { location }) };
        };
        self.mark_deleting(record, etag).await?;
        self.delete_heads().await?;
        let mut left = 0;
        for _ in 0..MAX_DELETE_ROUNDS {
            let mut to_delete = self.first_objects(MAX_LIST_PAGE).await?;
            let tenant = self.keys.tenant();
            to_delete.retain(|listed| listed.key != tenant);
            left = to_delete.len();
            if to_delete.is_empty() {
                return self.delete_record().await;
            }
            self.delete_each(to_delete).await?;
        }
        Err(self.not_empty(left))
    }

    /// The record goes when nothing else is there; what a late writer adds meanwhile goes after it.
    async fn delete_record(&self) -> Result<(), TenantError> {
        let mut left = Vec::new();
        for _ in 0..MAX_LATE_ROUNDS {
            self.bucket.delete(&self.keys.tenant()).await.map_err(ReadError::from)?;
            left = self.first_objects(MAX_LIST_PAGE).await?;
            if left.is_empty() {
                return Ok(());
            }
            self.delete_each(left.clone()).await?;
        }
        Err(self.not_empty(left.len()))
    }

    fn not_empty(&self, left: usize) -> TenantError {
        TenantError::NotEmpty { location: self.keys.root().to_owned(), left }
    }

    async fn mark_deleting(
        &self,
        record: TenantRecord,
        etag: crate::object::ETag,
    ) -> Result<(), TenantError> {
        if record.stage == Stage::Deleting {
            return Ok(());
        }
        let key = self.keys.tenant();
        let next = TenantRecord { put_id: self.put_id(), stage: Stage::Deleting, ..record };
        match self.bucket.settle(&key, &next, &Condition::IfMatch(etag)).await? {
            Settled::Mine(_) => Ok(()),
            Settled::Other(Some((other, _))) if other.owner != self.owner => Err(self.owned_elsewhere(other)),
            Settled::Other(_) => Err(WriteError::Other { key }.into()),
        }
    }

    async fn delete_heads(&self) -> Result<(), TenantError> {
        let mut after = None;
        loop {
            let page = self.bucket.list_first(&self.keys.branches(), after.as_deref(), MAX_LIST_PAGE).await;
            let page = page.map_err(ReadError::from)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            self.delete_each(page.into_iter().filter(|listed| listed.key.ends_with("/HEAD")).collect())
                .await?;
        }
    }

    /// Fewer than `limit` are all there are.
    async fn first_objects(&self, limit: usize) -> Result<Vec<Listed>, TenantError> {
        let listed = self.bucket.list_first(self.keys.root(), None, limit).await;
        Ok(listed.map_err(ReadError::from)?)
    }

    async fn delete_each(&self, to_delete: Vec<Listed>) -> Result<(), TenantError> {
        stream::iter(to_delete)
            .map(|listed| async move { self.bucket.delete(&listed.key).await })
            .buffer_unordered(DELETES_IN_FLIGHT)
            .try_collect::<()>()
            .await
            .map_err(|error| ReadError::from(error).into())
    }
}
