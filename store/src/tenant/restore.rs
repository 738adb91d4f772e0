//! Filling a new tenant from another tenant's native snapshot, or from one of its past moments. Nothing is shared
//! afterwards.

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};

use jiff::Timestamp;

use super::copied_wal;
use super::initialize::Copied;
use super::{Adoption, Creation, Initialized, Pinned, TenantError, TenantStore};
use crate::branch::upload::{Made, Maker, UploadError};
use crate::bucket::Settled;
use crate::chunk::{chunk_count, chunk_range};
use crate::format::ReadError;
use crate::format::catalogue::SnapshotData;
use crate::format::head::Head;
use crate::format::manifest::Manifest;
use crate::format::pin::PinKind;
use crate::format::tenant::{DataSource, Stage, TenantRecord};
use crate::identity::{BranchName, Lineage, ObjectId, TenantPath};
use crate::object::{Condition, ObjectError};
use crate::position::{DatedPosition, StreamId};
use crate::progress::Progress;
use crate::state::{self, LoadedState, Placed, Restored};

/// Range GETs of the source under way at a time; each holds one run of its chunks, restored.
const RUNS_IN_FLIGHT: usize = 4;
/// Names that a copy keeps of those that its data had; of a longer chain of copies the oldest go.
const MAX_FORMER_NAMES: usize = 256;
/// The epoch that writes a restored tenant's first manifest: nobody has taken it over yet.
const RESTORE_EPOCH: u64 = 0;

/// State of another tenant that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// The state that a native snapshot keeps.
    Snapshot(String),
    /// The branch main right after its last commit at or before a moment.
    Moment(Timestamp),
}

impl CopySource {
    /// Origin of the copy's data, as `tenant.json` records it.
    fn recorded(&self, tenant: &str) -> DataSource {
        match self {
            Self::Snapshot(name) => {
                DataSource::Snapshot { tenant: Some(tenant.to_owned()), name: name.clone(), position: None }
            }
            Self::Moment(time) => DataSource::Moment { tenant: tenant.to_owned(), time: *time },
        }
    }

    /// Name of the copy in `tenant.json` while it is under way.
    fn label(&self, tenant: &str) -> String {
        match self {
            Self::Snapshot(name) => format!("{tenant}/{name}"),
            Self::Moment(time) => format!("{tenant} at {time}"),
        }
    }
}

impl TenantStore {
    /// Fills this (new) tenant from another tenant of the same namespace: new packs, new
    /// lineage, manifest 1, sealed; nothing is shared. Idempotent; HEAD appears last. Use it instead of
    /// [`Self::initialize`] until it has succeeded once.
    pub async fn source_copy(
        &self,
        source_tenant: &str,
        what: &CopySource,
        adoption: &Adoption,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Initialized, TenantError> {
        let path = TenantPath::new(&*self.path.prefix, &*self.path.namespace, source_tenant)?;
        let source =
            Self::new(self.bucket.store.clone(), path, self.owner.clone(), self.bucket.environment.clone())
                .with_class_keys(self.class_keys.clone());
        let copied = Copied { label: what.label(source_tenant), source: &source };
        let recorded = what.recorded(source_tenant);
        let mut claimed = self.claim(Creation::NewTenant, adoption, &recorded, Some(&copied)).await?;
        let main = BranchName::main();
        let key = self.keys.head(&main);
        if let Some((head, _)) = self.bucket.find::<Head>(&key).await? {
            self.finish_creation(&claimed).await?;
            return Ok(claimed.initialized(false, head));
        }
        if claimed.record.stage != Stage::Creating {
            return Err(TenantError::DataMissing { key });
        }
        let (source, state, Pinned { pin, position: taken, .. }) =
            source.open_source(what, &self.owner.tenant_uid).await?;
        let copied = self.unlocked(&claimed.record)?.copy(&source, &state, progress).await;
        // The pin goes in either case; a retry makes its own.
        source.bucket.delete(&source.keys.relative(&pin)).await.map_err(ReadError::from)?;
        let head = copied?;
        if let Some(DataSource::Snapshot { position, .. }) = &mut claimed.record.source {
            *position = Some(taken);
        }
        // Its copy may have taken long: a Tenant made again meanwhile may want another source.
        self.find_own().await?;
        let head = match self.bucket.settle(&key, &head, &Condition::IfAbsent).await? {
            Settled::Other(Some((other, _))) => other,
            _ => head,
        };
        self.finish_creation(&claimed).await?;
        Ok(claimed.initialized(true, head))
    }

    /// Names that the data of a copy of this tenant has had: its former ones, then this tenant's.
    pub(super) async fn names_for_a_copy(&self) -> Result<Vec<String>, TenantError> {
        let found = self.bucket.find::<TenantRecord>(&self.keys.tenant()).await?;
        let mut names = found.map(|(record, _)| record.former_names).unwrap_or_default();
        names.retain(|name| *name != self.path.tenant);
        names.push(self.path.tenant.clone());
        names.drain(..names.len().saturating_sub(MAX_FORMER_NAMES));
        Ok(names)
    }

    /// Checks that this tenant, the source, is of the same namespace, and pins and loads what is to be copied. The
    /// store that it returns has the key to read that.
    async fn open_source(
        &self,
        what: &CopySource,
        reader_uid: &str,
    ) -> Result<(Self, LoadedState, Pinned), TenantError> {
        let found = self.bucket.find::<TenantRecord>(&self.keys.tenant()).await?;
        let (record, _) = found.ok_or_else(|| TenantError::SourceTenantNotFound(self.path.tenant.clone()))?;
        if !record.owner.same_namespace(&self.owner) {
            return Err(self.owned_elsewhere(record));
        }
        if record.stage == Stage::Deleting {
            return Err(self.being_deleted());
        }
        self.proven.store(true, std::sync::atomic::Ordering::Release);
        let source = self.unlocked(&record)?;
        let (name, dated) = match what {
            CopySource::Snapshot(name) => (name.as_str(), self.kept_by_snapshot(name).await?),
            CopySource::Moment(time) => ("moment", self.position_at(&BranchName::main(), *time).await?),
        };
        let pinned = self.pin_position(PinKind::Reader, name, reader_uid, &dated).await?;
        let state = state::load(&self.bucket, &self.keys, &pinned.position).await?;
        Ok((source, state, pinned))
    }

    async fn kept_by_snapshot(&self, name: &str) -> Result<DatedPosition, TenantError> {
        let entry = self.find_snapshot(name).await?;
        if matches!(entry.data, SnapshotData::Native { .. }) {
            return Ok(DatedPosition { position: entry.position, last_commit: entry.last_commit });
        }
        let why = "only a native snapshot can be a source, and this one is Parquet".to_owned();
        Err(TenantError::SourceUnsupported { name: name.to_owned(), why })
    }

    async fn copy(
        &self,
        source: &Self,
        state: &LoadedState,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Head, TenantError> {
        let branch = BranchName::main();
        let lineage = Lineage::from_bytes(self.bucket.environment.random_id());
        let maker = Maker {
            bucket: &self.bucket,
            keys: &self.keys,
            branch: &branch,
            lineage,
            epoch: RESTORE_EPOCH,
            number: 1,
        };
        let from = &state.manifest;
        let file_size = state.file_size();
        let mut so_far = Progress { done: 0, total: chunk_count(file_size), bytes: 0 };
        let chunks = source.chunks(state).await?.inspect_ok(|(_, raw)| {
            so_far.done += 1;
            so_far.bytes += raw.len() as u64;
            progress(so_far);
        });
        let made: Made =
            maker.upload(chunks, None, &Placed::new(), file_size).await.map_err(|error| match error {
                UploadError::Read(error) => TenantError::Read(error),
                UploadError::Object(error) => TenantError::Write(error.into()),
                UploadError::Local(error) => {
                    let message = error.message;
                    TenantError::Write(ObjectError::Rejected { key: self.keys.root().into(), message }.into())
                }
            })?;
        let manifest = Manifest {
            put_id: self.put_id(),
            branch: branch.clone(),
            lineage,
            epoch: RESTORE_EPOCH,
            number: 1,
            id: ObjectId::from_bytes(self.bucket.environment.random_id()),
            parent: None,
            parent_end: None,
            lineages: vec![lineage],
            file_size,
            pages: made.refs,
            written: self.bucket.environment.clock.now(),
            ..from.clone()
        };
        self.bucket.create(&self.keys.manifest(&manifest.position()), &manifest).await?;
        let head = self.new_head(&branch, None, None);
        let position = manifest.position();
        let head = Head { lineage, manifest: Some(position), last_commit: manifest.last_commit, ..head };
        let Some(wal) = &state.wal else { return Ok(head) };
        // Whoever opens it first replays this, as after a holder that ended without a seal.
        let id = StreamId { lineage, epoch: RESTORE_EPOCH, manifest: 1 };
        copied_wal::copy(source, wal, self, &branch, id).await?;
        Ok(Head { stream: Some(id), sealed: false, ..head })
    }

    /// Every chunk of a position as its file has it: what is in the bucket, and zeros elsewhere.
    async fn chunks<'a>(
        &'a self,
        state: &'a LoadedState,
    ) -> Result<impl Stream<Item = Result<(u64, Bytes), UploadError>> + 'a, ReadError> {
        let (file_size, stored) = (state.file_size(), state.chunks_stored());
        let runs = state::plan_runs(state, &stored).await?;
        let inline = state::inline_chunks(&self.bucket.codec, state, |_| true);
        let packed = futures::stream::iter(runs)
            .map(move |run| async move {
                let fetched = state::fetch(&self.bucket, &self.keys, run).await?;
                let work = move || fetched.chunks().collect::<Result<Vec<_>, _>>();
                self.bucket.environment.compute(work).await
            })
            .buffered(RUNS_IN_FLIGHT)
            .map_ok(|chunks| futures::stream::iter(chunks.into_iter().map(Ok)))
            .try_flatten();
        let holes = (0..chunk_count(file_size)).filter(move |index| !stored.contains(*index));
        let holes = holes
            .map(move |index| Ok(Restored { index, place: chunk_range(index, file_size), raw: Vec::new() }));
        let chunks = futures::stream::iter(inline).chain(packed).chain(futures::stream::iter(holes));
        Ok(chunks.map_err(UploadError::Read).map_ok(move |Restored { index, mut raw, .. }| {
            // The last chunk of a file that has grown since was shorter.
            let range = chunk_range(index, file_size);
            raw.resize(usize::try_from(range.end - range.start).unwrap_or(usize::MAX), 0);
            (index, Bytes::from(raw))
        }))
    }
}
