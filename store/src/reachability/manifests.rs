//! Manifests of the past. They never change: each is read once, and then only looked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use moka::sync::Cache;

use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::format::manifest::Manifest;
use crate::keys::Keys;
use crate::position::Position;
use crate::state;

/// Bytes that are spent on manifests, about: two weeks of one small database that is published every minute.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a manifest without its lists, about.
const MANIFEST_BYTES: usize = 1024;
/// Bytes of one page's name and hash, about.
const PAGE_BYTES: usize = 256;

/// Manifests that walks have read, by their keys. Keep it from one collection to the next, of all tenants; it is bounded,
/// and cheap to clone.
#[derive(Debug, Clone)]
pub struct KnownManifests(Cache<String, Arc<Manifest>>);

impl Default for KnownManifests {
    fn default() -> Self {
        let weight = |_: &String, manifest: &Arc<Manifest>| {
            let lists = manifest.pages.len() * PAGE_BYTES
                + size_of_val(&*manifest.lineages)
                + size_of_val(&*manifest.boot);
            u32::try_from(MANIFEST_BYTES + lists).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(weight).max_capacity(MAX_BYTES).build())
    }
}

/// The manifests of one tenant as one look sees them.
pub(super) struct Manifests<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) keys: &'a Keys,
    pub(super) known: &'a KnownManifests,
    /// Keys of those that were there when the look began, relative to the tenant's prefix.
    pub(super) listed: &'a BTreeSet<String>,
}

impl Manifests<'_> {
    /// A manifest of the past: not read again if it is known and there.
    pub(super) async fn past(&self, position: &Position) -> Result<Arc<Manifest>, ReadError> {
        let key = self.keys.manifest(position);
        let is_there = self.keys.within(&key).is_some_and(|relative| self.listed.contains(relative));
        match self.known.0.get(&key).filter(|_| is_there) {
            Some(manifest) => Ok(manifest),
            None => self.read(position).await,
        }
    }

    /// A manifest as it is in the bucket.
    pub(super) async fn read(&self, position: &Position) -> Result<Arc<Manifest>, ReadError> {
        let manifest = Arc::new(state::load_manifest(self.bucket, self.keys, position).await?);
        self.known.0.insert(self.keys.manifest(position), Arc::clone(&manifest));
        Ok(manifest)
    }
}
