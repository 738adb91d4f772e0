//! A pinned position, opened to be read.

use std::path::Path;
use std::sync::Arc;

use super::hydrate::{self, Fixed, OpenedFile};
use super::store::BranchStore;
use crate::bucket::Bucket;
use crate::format::manifest::Manifest;
use crate::format::pin::Pin;
use crate::format::tenant::TenantRecord;
use crate::keys::Keys;
use crate::object::ObjectError;
use crate::pager::HydrateError;
use crate::position::{DatedPosition, Position};
use crate::state::{self, LoadedState};

impl BranchStore {
    /// Opens a pinned position read-only; HEAD is not touched. `pin` is the pin's key, relative to the tenant's
    /// prefix, and must keep exactly this position.
    pub async fn open_position(
        &self,
        position: &Position,
        pin: &str,
    ) -> Result<ReadablePosition, HydrateError> {
        let key = self.keys.relative(pin);
        match self.bucket.find::<Pin>(&key).await? {
            Some((pin, _)) if pin.position == *position => {}
            Some(_) => return Err(HydrateError::NotPinned(format!("{key} keeps another position"))),
            None => return Err(HydrateError::NotPinned(ObjectError::NotFound { key }.to_string())),
        }
        let (tenant, _) = self.bucket.read::<TenantRecord>(&self.keys.tenant()).await?;
        self.bucket.codec.check_tenant(tenant.data_key.is_some())?;
        let state = state::load(&self.bucket, &self.keys, position).await?;
        Ok(ReadablePosition {
            bucket: self.bucket.clone(),
            keys: self.keys.clone(),
            state: Arc::new(state),
            former_names: tenant.former_names,
        })
    }
}

/// A position that a pin keeps readable.
#[derive(Debug)]
pub struct ReadablePosition {
    bucket: Bucket,
    keys: Keys,
    state: Arc<LoadedState>,
    former_names: Vec<String>,
}

impl ReadablePosition {
    /// Names of the tenants that the data was copied from.
    pub fn former_names(&self) -> &[String] {
        &self.former_names
    }

    /// The manifest of the position.
    pub fn manifest(&self) -> &Manifest {
        &self.state.manifest
    }

    /// Every commit boundary in it: the manifest alone, then each commit of the WAL.
    pub fn commits(&self) -> Vec<DatedPosition> {
        self.state.commits()
    }

    /// An earlier boundary, one of [`Self::commits`]: the same pin keeps it.
    #[must_use]
    pub fn until(&self, commit: &Position) -> Self {
        let state = Arc::new(self.state.until(commit.sequence, commit.offset));
        let (bucket, keys) = (self.bucket.clone(), self.keys.clone());
        Self { bucket, keys, state, former_names: self.former_names.clone() }
    }

    /// Makes the file at `path` as a cache that is filled as it is read. See [`super::OwnedBranch::open`].
    pub async fn open(&self, path: &Path, cache_bytes: u64) -> Result<OpenedFile, HydrateError> {
        let base = Arc::new(Fixed(Arc::clone(&self.state)));
        hydrate::open(&self.bucket, &self.keys, (base, Some(&self.state)), path, cache_bytes).await
    }
}
