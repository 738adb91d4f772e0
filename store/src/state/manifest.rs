//! The manifest of a position, read and checked.

use crate::bucket::Bucket;
use crate::chunk::chunk_count;
use crate::format::ReadError;
use crate::format::manifest::Manifest;
use crate::format::page::CHUNKS_PER_PAGE;
use crate::identity::Lineage;
use crate::keys::Keys;
use crate::object::MAX_KEY_BYTES;
use crate::position::Position;

/// Reads and checks the manifest of a position.
pub(crate) async fn load_manifest(
    bucket: &Bucket,
    keys: &Keys,
    position: &Position,
) -> Result<Manifest, ReadError> {
    let key = keys.manifest(position);
    let (manifest, _) = bucket.read::<Manifest>(&key).await?;
    if (position.sequence == 0) != position.stream_epoch.is_none() {
        let why = "the position names a number of a stream, but not the stream".to_owned();
        return Err(ReadError::Mismatch { key, why });
    }
    if manifest.lineage != position.lineage {
        return Err(wrong_lineage(key, manifest.lineage, &[position.lineage]));
    }
    if manifest.position() != position.base() {
        return Err(ReadError::Mismatch { key, why: format!("it is manifest {:?}", manifest.position()) });
    }
    manifest.check().map_err(ReadError::content(&key))?;
    Ok(manifest)
}

/// Chunks that a page of a manifest has entries for.
pub(super) fn page_length(manifest: &Manifest, number: u64) -> u64 {
    let first = number * CHUNKS_PER_PAGE;
    chunk_count(manifest.file_size).saturating_sub(first).min(CHUNKS_PER_PAGE)
}

pub(super) fn wrong_lineage(key: String, found: Lineage, expected: &[Lineage]) -> ReadError {
    let mut expected = expected.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    expected.truncate(MAX_KEY_BYTES);
    ReadError::WrongLineage { key, found: found.to_string(), expected }
}
