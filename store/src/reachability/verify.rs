//! Reading every byte that a state refers to.

use std::collections::HashSet;

use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::format::manifest::Manifest;
use crate::format::name::ObjectName;
use crate::keys::Keys;
use crate::position::Position;
use crate::state::{self, LoadedState, LoadedWal, Run};
use crate::stream;

use super::Tally;
use super::history::Following;

/// Reads states and checks their chunks: those in packs once, those in segments with each state.
pub(super) struct Verifier<'a> {
    bucket: &'a Bucket,
    keys: &'a Keys,
    /// Runs of chunks that were checked: the pack, where they begin and end.
    checked: HashSet<(ObjectName, u64, u64)>,
    /// Chunks that were read, and bytes: stored ones of packs, restored ones of segments with their WAL.
    pub(super) verified: Tally,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(bucket: &'a Bucket, keys: &'a Keys) -> Self {
        Self { bucket, keys, checked: HashSet::new(), verified: Tally::default() }
    }

    /// A position with its WAL.
    pub(super) async fn position(&mut self, position: &Position) -> Result<(), ReadError> {
        let state = state::load(self.bucket, self.keys, position).await?;
        self.state(&state).await
    }

    /// A manifest of a branch, and the WAL after it that belongs to the branch.
    pub(super) async fn past(
        &mut self,
        manifest: &Manifest,
        following: Option<Following>,
    ) -> Result<(), ReadError> {
        let position = manifest.position();
        let mut state = state::load(self.bucket, self.keys, &position).await?;
        if let Some(following) = following {
            let (bucket, keys, branch) = (self.bucket, self.keys, &position.branch);
            let stream = match following {
                Following::Open(id) => stream::to_end(bucket, keys, branch, id).await?,
                Following::Over(end) => {
                    stream::segments(bucket, keys, branch, end.stream, end.sequence).await?
                }
            };
            let offset = stream.end.length;
            state.wal = Some(LoadedWal::new(stream, offset));
        }
        self.state(&state).await
    }

    async fn state(&mut self, state: &LoadedState) -> Result<(), ReadError> {
        let stored = state.chunks_stored();
        for chunk in state::inline_chunks(&self.bucket.codec, state, |_| true) {
            self.verified.count += 1;
            self.verified.bytes += chunk?.raw.len() as u64;
        }
        for segment in state.wal.iter().flat_map(|wal| &wal.stream.segments) {
            let key = self.keys.slot(&segment.branch, &segment.stream, segment.sequence);
            let wal = segment.wal(&self.bucket.codec, u64::MAX).map_err(ReadError::content(&key))?;
            self.verified.bytes += wal.len() as u64;
        }
        for run in state::plan_runs(state, &stored).await? {
            self.run(run).await?;
        }
        Ok(())
    }

    async fn run(&mut self, run: Run) -> Result<(), ReadError> {
        let place = (run.pack().clone(), run.range().start, run.range().end);
        if self.checked.contains(&place) {
            return Ok(());
        }
        let bytes = place.2 - place.1;
        let fetched = state::fetch(self.bucket, self.keys, run).await?;
        let work = move || fetched.chunks().try_fold(0, |count, chunk| chunk.map(|_| count + 1));
        self.verified.count += self.bucket.environment.compute(work).await?;
        self.verified.bytes += bytes;
        self.checked.insert(place);
        Ok(())
    }
}
