//! Publish and seal: the local database's state becomes the branch's.

use std::sync::Arc;

use futures::{StreamExt, stream};

use super::error::PublishError;
use super::local_chunks::{READS_IN_FLIGHT, read_chunk};
use super::owned::{
    EndIfDropped, FENCED, FOREIGN, GIVEN_UP, OwnedBranch, OwnerState, SEALED, UNDECIDED, describe,
};
use super::streams::Named;
use super::upload::{self, Made, UploadError};
use crate::bucket::{Settled, WriteError};
use crate::chunk::{MAX_FILE_BYTES, chunk_count, chunk_range};
use crate::format::head::Head;
use crate::format::json;
use crate::format::manifest::{MAX_LINEAGES, Manifest};
use crate::identity::{ObjectId, PutId};
use crate::local::{Freeze, Frozen, LocalDatabase};
use crate::mutation::{Mutation, broken};
use crate::object::Condition;
use crate::position::{Position, StreamId};
use crate::state::LoadedState;
use crate::step::stepped;
use crate::stream::End;

/// Result of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The position that HEAD names now; none if the branch has never been published.
    pub position: Option<Position>,
    /// Chunks read from the local file.
    pub read_chunks: u64,
    /// Chunks of them that differed and were uploaded.
    pub uploaded_chunks: u64,
    /// Bytes uploaded: packs, pages and manifest.
    pub bytes: u64,
    /// Size of the database file in bytes.
    pub file_size: u64,
    /// Time of the last commit in the position.
    pub last_commit: Option<jiff::Timestamp>,
    /// Whether a new manifest was written (false: nothing had changed).
    pub changed: bool,
}

impl OwnedBranch {
    /// Freezes the database and makes its state the branch's: packs, pages, manifest, then HEAD. One at a
    /// time; others wait. When HEAD was not touched a later call goes on with what was frozen;
    /// on [`crate::PublishRetry::Never`] the process must stop answering and exit.
    ///
    /// Let the future end: one that is dropped after the freeze ends this owner.
    pub async fn publish(&self, local: &dyn LocalDatabase) -> Result<Published, PublishError> {
        self.run(local, Freeze::Publish).await
    }

    /// The last publish, with HEAD sealed in the same write. Nothing can follow it.
    pub async fn seal(&self, local: &dyn LocalDatabase) -> Result<Published, PublishError> {
        self.run(local, Freeze::Seal).await
    }

    /// Seals HEAD at its last publish; whatever the local database holds beyond it is dropped. For an owner
    /// that never served (a failed start, a failed initial script). WAL that the owner before left is not dropped:
    /// HEAD then stays as it is, for whoever takes over next.
    pub async fn relinquish(&self) -> Result<(), PublishError> {
        let _turn = self.publishing.lock().await;
        let known = self.still_owner()?;
        if self.streams().named.has_data() {
            self.end(GIVEN_UP);
            return Ok(());
        }
        let head = Head {
            put_id: PutId::from_bytes(self.at.bucket.environment.random_id()),
            sealed: true,
            ..known.head.clone()
        };
        self.swap(&known, head, known.loaded.clone()).await
    }

    async fn run(&self, local: &dyn LocalDatabase, purpose: Freeze) -> Result<Published, PublishError> {
        let mut frozen = stepped("turn", "", self.publishing.lock()).await;
        // What an earlier call froze comes first: a second freeze would put commits both into a manifest and into
        // the WAL that follows it.
        if broken(Mutation::FreezeTwice) {
            *frozen = None;
        }
        if let Some(earlier) = &*frozen {
            let published = self.finish(local, earlier, Freeze::Publish).await?;
            *frozen = None;
            if purpose != Freeze::Seal {
                return Ok(published);
            }
        }
        self.prepare_next_stream(&self.still_owner()?.head);
        let first = purpose == Freeze::Publish && self.must_publish_first();
        let purpose = if first { Freeze::First } else { purpose };
        let mut abandoned = EndIfDropped(Some(self));
        let result = stepped("freeze", "", local.freeze(purpose)).await;
        abandoned.0 = None;
        let now = frozen.insert(result?);
        let published = self.finish(local, now, purpose).await?;
        *frozen = None;
        Ok(published)
    }

    /// Commits go to the next manifest's stream as soon as the WAL rotates; none of them is durable before HEAD names
    /// it.
    fn prepare_next_stream(&self, head: &Head) {
        let id = StreamId { lineage: head.lineage, epoch: head.epoch, manifest: head.number() + 1 };
        self.streams().next = Some(End::empty(id));
    }

    /// Makes a frozen state the branch's.
    async fn finish(
        &self,
        local: &dyn LocalDatabase,
        frozen: &Frozen,
        purpose: Freeze,
    ) -> Result<Published, PublishError> {
        let known = self.still_owner()?;
        let mut abandoned = EndIfDropped(Some(self));
        let result = match self.make(local, &known, frozen).await {
            Ok(made) => self.name_in_head(&known, frozen, made, purpose).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            tracing::warn!(branch = %self.at.name, %error, chunks = frozen.dirty.len(), "publish failed");
        }
        abandoned.0 = None;
        result
    }

    fn still_owner(&self) -> Result<OwnerState, PublishError> {
        let known = self.known();
        match known.ended {
            Some(reason) => Err(PublishError::Ended(reason)),
            None => Ok(known),
        }
    }

    /// Uploads what changed, up to and including the manifest. None if nothing did.
    async fn make(
        &self,
        local: &dyn LocalDatabase,
        known: &OwnerState,
        frozen: &Frozen,
    ) -> Result<Attempt, PublishError> {
        let base = known.loaded.as_deref();
        if let Some(base) = base
            && base.manifest.database_id != frozen.database_id
        {
            self.end(FOREIGN);
            let (expected, found) = (base.manifest.database_id, frozen.database_id);
            return Err(PublishError::ForeignDatabase { expected, found });
        }
        if frozen.file_size > MAX_FILE_BYTES {
            return Err(PublishError::TooLarge(format!("its file has {} bytes", frozen.file_size)));
        }
        let wanted = chunks_to_read(base, frozen);
        let maker = upload::Maker {
            bucket: &self.at.bucket,
            keys: &self.at.keys,
            branch: &self.at.name,
            lineage: known.head.lineage,
            epoch: known.head.epoch,
            number: known.head.number() + 1,
        };
        let chunks = stream::iter(wanted)
            .map(|index| async move { Ok(read_chunk(local, index, frozen.file_size).await?) })
            .buffered(READS_IN_FLIGHT);
        let packed = self.streams().packed.clone();
        let made =
            maker.upload(chunks, base, &packed, frozen.file_size).await.map_err(|error| match error {
                UploadError::Local(error) => PublishError::Local(error),
                UploadError::Read(error) => PublishError::Read(error),
                UploadError::Object(error) => PublishError::Write(error.into()),
            })?;
        let same =
            base.is_some_and(|b| b.manifest.file_size == frozen.file_size && b.manifest.pages == made.refs);
        let must =
            frozen.rotated || base.is_some_and(|base| base.wal.is_some()) || known.head.manifest.is_none();
        if frozen.file_size == 0 || (same && !must) {
            return Ok(Attempt { made, manifest: None, bytes: 0 });
        }
        let manifest = self.manifest(known, frozen, &made)?;
        let bytes = json::encode(&manifest).len() as u64;
        self.at.bucket.create(&self.at.keys.manifest(&manifest.position()), &manifest).await?;
        Ok(Attempt { made, manifest: Some(manifest), bytes })
    }

    fn manifest(&self, known: &OwnerState, frozen: &Frozen, made: &Made) -> Result<Manifest, PublishError> {
        let environment = &self.at.bucket.environment;
        let head = &known.head;
        let mut lineages = vec![head.lineage];
        if let Some(base) = &known.loaded {
            lineages.extend(base.manifest.lineages.iter().filter(|lineage| **lineage != head.lineage));
        }
        if lineages.len() > MAX_LINEAGES {
            return Err(PublishError::TooLarge(format!("it has more than {MAX_LINEAGES} ancestors")));
        }
        Ok(Manifest {
            put_id: PutId::from_bytes(environment.random_id()),
            branch: self.at.name.clone(),
            lineage: head.lineage,
            epoch: head.epoch,
            number: head.number() + 1,
            id: ObjectId::from_bytes(environment.random_id()),
            parent: known.loaded.as_deref().map(LoadedState::position),
            parent_end: head.manifest.is_some().then(|| self.streams().named.end.record()),
            lineages,
            file_size: frozen.file_size,
            database_id: frozen.database_id,
            engine_version: frozen.engine_version.clone(),
            storage_version: frozen.storage_version.clone(),
            pages: made.refs.clone(),
            boot: frozen.boot.iter().filter(|index| *index < chunk_count(frozen.file_size)).collect(),
            last_commit: frozen
                .last_commit
                .max(head.last_commit)
                .max(known.loaded.as_deref().and_then(LoadedState::last_commit)),
            written: environment.clock.now(),
        })
    }

    /// The one write that makes a publish the branch's state.
    async fn name_in_head(
        &self,
        known: &OwnerState,
        frozen: &Frozen,
        attempt: Attempt,
        purpose: Freeze,
    ) -> Result<Published, PublishError> {
        let Attempt { made, manifest, bytes } = attempt;
        let changed = manifest.is_some();
        let mut head = known.head.clone();
        head.sealed = purpose == Freeze::Seal;
        let mut loaded = known.loaded.clone();
        let (read_chunks, uploaded_chunks, uploaded) = (made.read, made.uploaded, made.bytes + bytes);
        if let Some(manifest) = manifest {
            head.manifest = Some(manifest.position());
            head.source = None;
            head.last_commit = manifest.last_commit;
            let (lineage, epoch) = (head.lineage, head.epoch);
            head.stream = Some(StreamId { lineage, epoch, manifest: manifest.number });
            loaded = Some(Arc::new(LoadedState { manifest, pages: made.pages, wal: None }));
        }
        let published = Published {
            position: head.manifest.clone(),
            read_chunks,
            uploaded_chunks,
            bytes: uploaded,
            file_size: frozen.file_size,
            last_commit: head.last_commit,
            changed,
        };
        if changed || head.sealed {
            head.put_id = PutId::from_bytes(self.at.bucket.environment.random_id());
            self.swap(known, head, loaded).await?;
        }
        Ok(published)
    }

    /// HEAD names another stream: what was shipped to it meanwhile is durable.
    fn name_next_stream(&self, head: &Head) {
        let Some(id) = head.stream else { return };
        let mut streams = self.streams();
        if streams.named.end.id == id {
            return;
        }
        let end = streams.next.take().unwrap_or_else(|| End::empty(id));
        streams.named = Named { end, owned: true, writable: true };
        streams.packed = std::mem::take(&mut streams.next_packed);
    }

    /// Replaces HEAD. Afterwards it is ours as written, or this owner has ended, or it was certainly refused.
    async fn swap(
        &self,
        known: &OwnerState,
        head: Head,
        loaded: Option<Arc<LoadedState>>,
    ) -> Result<(), PublishError> {
        let key = self.at.keys.head(&self.at.name);
        match self.at.bucket.settle(&key, &head, &Condition::IfMatch(known.etag.clone())).await {
            Ok(Settled::Mine(etag)) => {
                let ended = head.sealed.then_some(SEALED);
                self.name_next_stream(&head);
                let mut state = self.lock();
                let ended = state.ended.or(ended);
                *state = OwnerState { head, etag, loaded, ended };
                Ok(())
            }
            Ok(Settled::Other(other)) => {
                self.end(FENCED);
                let found = other.map_or("HEAD does not exist".into(), |(head, _)| describe(&head));
                Err(PublishError::Fenced { branch: self.at.name.clone(), found })
            }
            // Refused at the first attempt: HEAD is as it was, and no copy of the write is under way.
            Err(WriteError::Refused(error)) => Err(WriteError::Refused(error).into()),
            Err(doubt) => {
                self.end(UNDECIDED);
                Err(PublishError::Undecided(doubt.to_string()))
            }
        }
    }
}

/// A publish that HEAD does not name yet.
struct Attempt {
    made: Made,
    manifest: Option<Manifest>,
    bytes: u64,
}

/// Dirty chunks, and those that the parent does not have or has with another length.
fn chunks_to_read(base: Option<&LoadedState>, frozen: &Frozen) -> Vec<u64> {
    let old_size = base.map_or(0, |base| base.manifest.file_size);
    let overlaid = base.map(LoadedState::overlaid).unwrap_or_default();
    let (old, new) = (chunk_count(old_size), chunk_count(frozen.file_size));
    let mut wanted = frozen.dirty.clone();
    wanted.union(&overlaid);
    for index in old.min(new)..new {
        wanted.insert(index);
    }
    // The last chunk that both have may have grown or shrunk.
    if let Some(last) = old.min(new).checked_sub(1)
        && chunk_range(last, old_size) != chunk_range(last, frozen.file_size)
    {
        wanted.insert(last);
    }
    wanted.iter().filter(|index| *index < new).collect()
}
