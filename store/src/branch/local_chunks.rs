//! Reading chunks of the local database file.

use bytes::Bytes;

use crate::chunk::chunk_range;
use crate::local::{LocalDatabase, LocalError};
use crate::step::stepped;

/// Chunks read from the local file at a time.
pub(super) const READS_IN_FLIGHT: usize = 4;

/// Reads a chunk of a file of `file_size` bytes.
pub(super) async fn read_chunk(
    local: &dyn LocalDatabase,
    index: u64,
    file_size: u64,
) -> Result<(u64, Bytes), LocalError> {
    let range = chunk_range(index, file_size);
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let raw = stepped("read chunk", index, local.read_chunk(index, length)).await?;
    if raw.len() != length {
        return Err(LocalError::lasting(format!("chunk {index} has {} bytes, expected {length}", raw.len())));
    }
    Ok((index, raw))
}
