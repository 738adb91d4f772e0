//! Bringing chunks from the bucket into the cache file.

use std::io;
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::flights::Claim;
use super::{HydrateError, Pager, Read, last_chunk, parts_missing};
use crate::chunk::{ChunkSet, chunk_range, chunks_of};
use crate::format::ReadError;
use crate::state::{self, LoadedState, Restored, Run};
use crate::step::stepped;

/// Runs of one fault under way at a time.
const RUNS_IN_FLIGHT: usize = 8;

impl Pager {
    /// Brings the chunks of a read into the file, or waits for whoever does. A small cache may have dropped them again
    /// when they are read.
    pub async fn fault(&self, offset: u64, length: u64) -> Result<(), HydrateError> {
        let chunks = self.touched_by(offset, length).map_err(|error| self.local(&error))?;
        let Some(chunks) = chunks else { return Ok(()) };
        self.counters.fault();
        self.bring(chunks).await
    }

    /// Brings chunks into the file that may be read soon. What others bring already is left to them; nothing is done
    /// while enough is on its way.
    pub async fn fetch_ahead(&self, chunks: Range<u64>) -> Result<(), HydrateError> {
        let Ok(_turn) = self.aheads.try_acquire() else { return Ok(()) };
        let claim = self.claim(chunks);
        self.fetch(claim).await
    }

    /// Waits until these bytes can be written: see [`Self::try_write`].
    pub async fn make_writable(&self, offset: u64, length: u64) -> Result<(), HydrateError> {
        self.flights.landed(chunks_of(offset, length)).await;
        let size = self.size().map_err(|error| self.local(&error))?;
        let missing = parts_missing(&self.shared(), size, offset, length);
        for index in missing {
            self.bring(index..=index).await?;
        }
        Ok(())
    }

    /// Waits until the file can be cut: see [`Self::try_truncate`].
    pub async fn make_truncatable(&self, size: u64) -> Result<(), HydrateError> {
        let last = last_chunk(size);
        self.flights.landed(last..=u64::MAX).await;
        if self.parted_by(size).map_err(|error| self.local(&error))? {
            self.bring(last..=last).await?;
        }
        Ok(())
    }

    /// The content of a chunk that has `length` bytes.
    pub async fn chunk(self: &Arc<Self>, index: u64, length: usize) -> Result<Bytes, HydrateError> {
        let start = chunk_range(index, u64::MAX).start;
        loop {
            let pager = Arc::clone(self);
            let read = move || {
                let mut buffer = vec![0; length];
                pager.try_read(&mut buffer, start).map(|read| (read, buffer))
            };
            match self.bucket.environment.compute(read).await.map_err(|error| self.local(&error))? {
                (Read::Done { bytes, .. }, buffer) => return Ok(Bytes::from(buffer).slice(..bytes)),
                (Read::Absent, _) => self.bring(index..=index).await?,
            }
        }
    }

    /// Brings what opening the database reads: one round of requests, whatever the size.
    pub(crate) async fn boot(&self) -> Result<(), HydrateError> {
        let Some(state) = self.base.state() else { return Ok(()) };
        let claim = self.claim(state.boot_set().iter());
        self.fetch(claim).await
    }

    /// Brings chunks, or waits until whoever does has ended. They may be gone again, or others may have failed: then
    /// whoever reads them asks once more.
    async fn bring(&self, chunks: RangeInclusive<u64>) -> Result<(), HydrateError> {
        let claim = self.claim(chunks.clone());
        if claim.chunks.is_empty() {
            stepped("await chunks", chunks.start(), self.flights.landed(chunks.clone())).await;
            return Ok(());
        }
        self.fetch(claim).await
    }

    fn claim(&self, chunks: impl IntoIterator<Item = u64>) -> Claim {
        self.flights.claim(chunks, |index| !self.shared().has(index))
    }

    async fn fetch(&self, claim: Claim) -> Result<(), HydrateError> {
        if claim.chunks.is_empty() {
            return Ok(());
        }
        let claim = Arc::new(claim);
        // In this order: a publish in between shortens the manifest, and what was cut off is in neither then.
        let cut: ChunkSet = claim.chunks.iter().filter(|index| self.shared().is_cut(*index)).collect();
        let state = self.base.state();
        let stored =
            |index: u64| state.as_ref().is_some_and(|state| state.stores(index)) && !cut.contains(index);
        let (wanted, holes): (Vec<u64>, Vec<u64>) = claim.chunks.iter().partition(|index| stored(*index));
        let wanted: ChunkSet = wanted.into_iter().collect();
        self.alone().arrived(holes);
        let Some(state) = state.filter(|_| !wanted.is_empty()) else { return Ok(()) };
        let mut found = 0;
        let mut arrived = |chunks: Vec<u64>| {
            found += chunks.len() as u64;
            self.alone().arrived(chunks);
        };
        let runs = state::plan_runs(&state, &wanted).await?;
        let inline = self.put_inline(&claim, &state, &wanted).await?;
        arrived(inline);
        let mut writes =
            stream::iter(runs).map(|run| self.put_run(&claim, run)).buffer_unordered(RUNS_IN_FLIGHT);
        let mut outcome = Ok(());
        while let Some(run) = writes.next().await {
            match run {
                Ok(chunks) => arrived(chunks),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        drop(writes);
        self.evict();
        outcome?;
        if found != wanted.len() {
            let message = format!("{found} of {} chunks were found", wanted.len());
            return Err(HydrateError::local(&self.path, &message));
        }
        Ok(())
    }

    /// Puts those of the chunks into the file that segments carry themselves; returns their numbers.
    async fn put_inline(
        &self,
        claim: &Arc<Claim>,
        state: &Arc<LoadedState>,
        wanted: &ChunkSet,
    ) -> Result<Vec<u64>, HydrateError> {
        if state.wal.is_none() {
            return Ok(Vec::new());
        }
        let (file, state, wanted, claim) = (self.file.clone(), state.clone(), wanted.clone(), claim.clone());
        let codec = self.bucket.codec.clone();
        let work = move || {
            let put = put(&file, state::inline_chunks(&codec, &state, |index| wanted.contains(index)));
            drop(claim);
            put
        };
        self.bucket.environment.compute(work).await.map_err(|failed| self.failed(failed))
    }

    /// Fetches a run and puts its chunks into the file; returns their numbers. What does not pass its check is fetched once
    /// more before it counts as damaged.
    async fn put_run(&self, claim: &Arc<Claim>, run: Run) -> Result<Vec<u64>, HydrateError> {
        match self.try_run(claim, run.clone()).await {
            Err(HydrateError::Read(ReadError::Content { key, cause })) => {
                tracing::warn!(key, %cause, "what was fetched is damaged; fetching it once more");
                self.try_run(claim, run).await
            }
            other => other,
        }
    }

    async fn try_run(&self, claim: &Arc<Claim>, run: Run) -> Result<Vec<u64>, HydrateError> {
        let fetched = {
            // Only closing the semaphore fails, which nobody does.
            let _turn = self.fetches.acquire().await;
            state::fetch(&self.bucket, &self.keys, run).await?
        };
        self.counters.fetched(fetched.stored_bytes());
        // The claim lives as long as the work, also if nobody waits for it any more: a write of the engine's must not
        // be overtaken by it.
        let (file, claim) = (self.file.clone(), claim.clone());
        let work = move || {
            let put = put(&file, fetched.chunks());
            drop(claim);
            put
        };
        self.bucket.environment.compute(work).await.map_err(|failed| self.failed(failed))
    }

    fn failed(&self, failed: Failed) -> HydrateError {
        match failed {
            Failed::Read(error) => error.into(),
            Failed::Write(error) => self.local(&error),
        }
    }

    fn local(&self, error: &io::Error) -> HydrateError {
        HydrateError::local(&self.path, error)
    }
}

enum Failed {
    Read(ReadError),
    Write(io::Error),
}

fn put(
    file: &std::fs::File,
    chunks: impl Iterator<Item = Result<Restored, ReadError>>,
) -> Result<Vec<u64>, Failed> {
    chunks
        .map(|chunk| {
            let Restored { index, place, raw } = chunk.map_err(Failed::Read)?;
            file.write_all_at(&raw, place.start).map_err(Failed::Write)?;
            Ok(index)
        })
        .collect()
}
