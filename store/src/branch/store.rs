//! A branch by its name.

use super::error::TakeOverError;
use crate::bucket::Bucket;
use crate::format::head::Head;
use crate::identity::{BranchName, Owner};
use crate::keys::Keys;

/// One branch of a tenant.
#[derive(Debug, Clone)]
pub struct BranchStore {
    pub(crate) bucket: Bucket,
    pub(crate) keys: Keys,
    pub(crate) owner: Owner,
    pub(crate) name: BranchName,
}

impl BranchStore {
    /// HEAD as it is now.
    pub async fn head(&self) -> Result<Head, TakeOverError> {
        match self.bucket.find::<Head>(&self.keys.head(&self.name)).await? {
            Some((head, _)) => Ok(head),
            None => Err(TakeOverError::NotFound(self.name.clone())),
        }
    }
}
