//! Reading what decides over the rest of a tenant's prefix.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use super::standing::Roots;
use super::{Finding, MAX_OBJECTS};
use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::format::head::Head;
use crate::format::json::Document;
use crate::identity::BranchName;
use crate::keys::Keys;
use crate::object::Listed;

/// Documents read at a time.
const READS_IN_FLIGHT: usize = 16;

/// Reads `tenant.json`, pins, HEADs and the catalogue. Pins come before HEADs: what is created meanwhile is pinned
/// before a HEAD names it.
pub(super) async fn read(
    bucket: &Bucket,
    keys: &Keys,
    findings: &mut Vec<Finding>,
) -> Result<Roots, ReadError> {
    let mut reader = Reader { bucket, keys, unread: BTreeSet::new(), findings };
    let record = reader.documents(vec!["tenant.json".to_owned()]).await?.pop().map(|(_, record)| record);
    let pins = reader.below(&keys.pins()).await?;
    let branches = reader.listed(&keys.branches()).await?;
    let heads = branches.iter().filter(|key| head_of(key).is_some()).cloned().collect();
    let heads = reader.documents(heads).await?;
    let heads = heads.into_iter().filter(|(_, head): &(String, Head)| !head.deleted);
    let heads = heads.filter_map(|(key, head)| Some((head_of(&key)?, head))).collect();
    let catalogue = reader.below(&keys.catalogue()).await?.into_iter().collect();
    let manifests = branches.into_iter().filter(|key| key.contains("/manifests/")).collect();
    let (pins, unread) = (pins.into_iter().collect(), reader.unread);
    Ok(Roots { record, heads, pins, catalogue, manifests, unread })
}

/// The branch whose HEAD has this key.
fn head_of(relative: &str) -> Option<BranchName> {
    let branch = relative.strip_prefix("branches/")?.strip_suffix("/HEAD")?;
    BranchName::new(branch).ok()
}

struct Reader<'a> {
    bucket: &'a Bucket,
    keys: &'a Keys,
    unread: BTreeSet<String>,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    /// The keys below one, relative to the tenant's prefix, as all that follow here.
    async fn listed(&self, below: &str) -> Result<Vec<String>, ReadError> {
        let listed = list(self.bucket, below).await?.into_iter();
        Ok(listed.filter_map(|listed| self.keys.within(&listed.key).map(str::to_owned)).collect())
    }

    /// The documents below a key, each with its own.
    async fn below<T: Document>(&mut self, below: &str) -> Result<Vec<(String, T)>, ReadError> {
        let listed = self.listed(below).await?;
        self.documents(listed).await
    }

    /// Reads those of the listed documents that are there and in order; the keys of the others are `unread`.
    async fn documents<T: Document>(&mut self, listed: Vec<String>) -> Result<Vec<(String, T)>, ReadError> {
        let (bucket, keys) = (self.bucket, self.keys);
        let reads = listed.into_iter().map(|relative| async move {
            let found = bucket.find::<T>(&keys.relative(&relative)).await;
            (relative, found)
        });
        let reads: Vec<_> = stream::iter(reads).buffered(READS_IN_FLIGHT).collect().await;
        let mut documents = Vec::new();
        for (relative, found) in reads {
            match found {
                Ok(Some((document, _))) => documents.push((relative, document)),
                Ok(None) => drop(self.unread.insert(relative)),
                Err(ReadError::Object(error)) => return Err(error.into()),
                Err(damage) => {
                    self.findings
                        .push(Finding { needed_by: "the tenant".into(), problem: damage.to_string() });
                    self.unread.insert(relative);
                }
            }
        }
        Ok(documents)
    }
}

/// Every object below a key.
pub(super) async fn list(bucket: &Bucket, below: &str) -> Result<Vec<Listed>, ReadError> {
    Ok(bucket.list_all(below, MAX_OBJECTS).await?)
}
