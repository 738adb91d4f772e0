//! The database file as DuckDB holds it: positional reads and writes. What is read comes from the bucket if it is not
//! in the cache; what is written is recorded by chunk.

use super::local::LocalFiles;
use roost_engine::{VfsError, VfsFile};
use roost_store::{
    HydrateError, ObjectError, ReadError,
    chunk::BLOCK_BYTES,
    pager::{MAX_READ_CHUNKS, Read},
};
use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering::SeqCst},
};

/// A handle to the database file. The descriptor behind it outlives it.
pub struct MainFile(LocalFiles);

/// Bytes read at a time: a read may be larger than the cache.
const PIECE: u64 = MAX_READ_CHUNKS * BLOCK_BYTES;

impl MainFile {
    /// A handle.
    pub fn new(files: LocalFiles) -> Self {
        Self(files)
    }

    /// Reads up to `buffer.len()` bytes, fewer only at the file's end. DuckDB's thread waits for the bucket if it must.
    fn read_piece(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        let pager = &self.0.0.pager;
        let length = buffer.len() as u64;
        loop {
            match pager.try_read(buffer, offset)? {
                Read::Done { bytes, ahead } => {
                    pager.note_read(offset, length);
                    self.fetch_ahead(ahead);
                    return Ok(bytes);
                }
                Read::Absent => {
                    self.fetch_ahead(pager.missed(offset, length)?);
                    self.wait(|| pager.fault(offset, length))?;
                }
            }
        }
    }

    fn fetch_ahead(&self, chunks: Option<Range<u64>>) {
        let Some(chunks) = chunks else { return };
        let pager = Arc::clone(&self.0.0.pager);
        self.0.0.tasks.spawn(async move {
            if let Err(error) = pager.fetch_ahead(chunks).await {
                // Whoever needs it asks again, and is told.
                tracing::debug!(%error, "nothing was fetched ahead");
            }
        });
    }

    /// Has DuckDB's thread wait for the bucket. A checkpoint that cannot read would end the database: it waits on while
    /// the bucket is away.
    fn wait<F: Future<Output = Result<(), HydrateError>>>(
        &self,
        bring: impl Fn() -> F,
    ) -> Result<(), VfsError> {
        loop {
            match self.0.0.tasks.block_on(bring()) {
                Ok(()) => return Ok(()),
                Err(error) if self.0.is_checkpointing() && is_passing(&error) => {
                    tracing::warn!(%error, "a checkpoint waits for object storage");
                }
                Err(error) => return Err(self.unread(&error)),
            }
        }
    }

    fn write(&self, data: &[u8], offset: u64) -> Result<(), VfsError> {
        let (pager, length) = (&self.0.0.pager, data.len() as u64);
        self.check_room(length)?;
        while !pager.try_write(data, offset)? {
            self.wait(|| pager.make_writable(offset, length))?;
        }
        // Recorded after: a sync of another thread may come in between, and what it covers must be written.
        self.0.changes().tail.main_written(offset, length);
        Ok(())
    }

    /// Refuses a write that the cache has no room for: what no manifest holds may not outgrow it, or the node would end
    /// the pod. Replaying a WAL and our checkpoint must go on in any case.
    fn check_room(&self, length: u64) -> Result<(), VfsError> {
        let pager = &self.0.0.pager;
        let room = pager.limit_bytes() / 4 * 3;
        if self.0.is_checkpointing()
            || !self.0.0.attached.load(SeqCst)
            || pager.unpublished_bytes() + length <= room
        {
            return Ok(());
        }
        self.0.0.refused.store(true, SeqCst);
        Err(VfsError::io(format!(
            "what was written and is not published yet fills the {} MiB that the pod's cache volume has for it; the \
             transaction cannot be kept: write less in one, or raise runtime.cacheSize of the TenantClass",
            room >> 20
        )))
    }

    /// Error for a client that needs something that cannot be read. The log has the rest.
    fn unread(&self, error: &HydrateError) -> VfsError {
        if self.0.0.damage.note(error) {
            return VfsError::io("a part of the database is damaged in object storage");
        }
        tracing::warn!(%error, "a part of the database could not be read");
        VfsError::io(match error {
            HydrateError::Local { message, .. } => format!("the pod's cache cannot be used: {message}"),
            HydrateError::Read(_) | HydrateError::Key(_) | HydrateError::NotPinned(_) => {
                "a part of the database could not be read from object storage; try again".to_owned()
            }
        })
    }
}

/// Whether the bucket may answer later.
fn is_passing(error: &HydrateError) -> bool {
    matches!(error, HydrateError::Read(ReadError::Object(ObjectError::Undecided { .. })))
}

impl VfsFile for MainFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        let mut filled = 0;
        for piece in buffer.chunks_mut(usize::try_from(PIECE).unwrap_or(usize::MAX)) {
            let bytes = self.0.noting(self.read_piece(piece, offset + filled as u64))?;
            filled += bytes;
            if bytes < piece.len() {
                break;
            }
        }
        Ok(filled)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), VfsError> {
        self.0.noting(self.write(data, offset))
    }

    fn append(&self, _data: &[u8]) -> Result<(), VfsError> {
        Err(VfsError::refused("the database file is written by position only"))
    }

    fn sync(&self) -> Result<(), VfsError> {
        // The disk is a cache. What the sync orders is kept: the next commit depends on what was written before.
        self.0.changes().tail.main_synced();
        Ok(())
    }

    fn truncate(&self, size: u64) -> Result<(), VfsError> {
        let pager = &self.0.0.pager;
        while !pager.try_truncate(size)? {
            self.wait(|| pager.make_truncatable(size))?;
        }
        Ok(())
    }

    fn trim(&self, _offset: u64, _length: u64) -> Result<bool, VfsError> {
        Ok(false)
    }

    fn size(&self) -> Result<u64, VfsError> {
        Ok(self.0.main_size()?)
    }
}
