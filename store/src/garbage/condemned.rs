//! The lists of what is about to be deleted. Whoever pins a position reads them after writing the pin: either it finds
//! its manifest on a list, or the collector finds the pin.

use std::collections::BTreeSet;

use super::CollectError;
use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::format::pin::Condemned;
use crate::identity::PutId;
use crate::keys::Keys;
use crate::tenant::MAX_CONDEMNED_LISTS;

/// Keys of one list: about 4 MiB of them.
const KEYS_PER_LIST: usize = 20_000;
/// Lists of one run. What does not fit is left for the next one.
const LISTS_PER_RUN: usize = 20;
/// Most objects that one run deletes.
pub(super) const MAX_TO_DELETE: usize = KEYS_PER_LIST * LISTS_PER_RUN;

/// A list of an earlier run.
pub(super) struct Earlier {
    key: String,
    names: Vec<String>,
}

/// The lists that earlier runs left.
pub(super) async fn earlier(bucket: &Bucket, keys: &Keys) -> Result<Vec<Earlier>, CollectError> {
    let mut lists = Vec::new();
    let listed = bucket.list_all(&keys.condemned(), MAX_CONDEMNED_LISTS).await.map_err(ReadError::from)?;
    if listed.len() + LISTS_PER_RUN > MAX_CONDEMNED_LISTS {
        return Err(CollectError::TooManyLists(listed.len()));
    }
    for listed in listed {
        if let Some((list, _)) = bucket.find::<Condemned>(&listed.key).await? {
            lists.push(Earlier { key: listed.key, names: list.keys });
        }
    }
    Ok(lists)
}

/// Writes down what is about to be deleted: names relative to the tenant's prefix. Returns the keys of the lists.
pub(super) async fn write(
    bucket: &Bucket,
    keys: &Keys,
    to_delete: &[String],
) -> Result<Vec<String>, CollectError> {
    let mut lists = Vec::new();
    for names in to_delete.chunks(KEYS_PER_LIST) {
        let put_id = PutId::from_bytes(bucket.environment.random_id());
        let list = Condemned { put_id, keys: names.to_vec() };
        let key = format!("{}{put_id}", keys.condemned());
        bucket.create(&key, &list).await?;
        lists.push(key);
    }
    Ok(lists)
}

/// Removes the lists of a run whose every DELETE was answered.
pub(super) async fn remove(bucket: &Bucket, lists: &[String]) -> Result<(), ReadError> {
    for key in lists {
        bucket.delete(key).await?;
    }
    Ok(())
}

/// Removes those lists of earlier runs of which nothing is `left`. Others stay: a DELETE of their run may still be on its
/// way, so what is on them can be promised to nobody.
pub(super) async fn remove_spent(
    bucket: &Bucket,
    earlier: &[Earlier],
    left: &BTreeSet<String>,
) -> Result<(), ReadError> {
    for Earlier { key, names } in earlier {
        if !names.iter().any(|name| left.contains(name)) {
            bucket.delete(key).await?;
        }
    }
    Ok(())
}
