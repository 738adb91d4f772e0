//! Shipping: the WAL of the running database becomes segments of the branch's stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::error::ShipError;
use super::local_chunks::{READS_IN_FLIGHT, read_chunk};
use super::owned::{EndIfDropped, FENCED, OwnedBranch};
use super::streams::Named;
use super::upload::{Maker, UploadError};
use crate::bucket::{Settled, Signed};
use crate::format::ReadError;
use crate::format::name::ObjectName;
use crate::format::segment::{CarriedChunk, ChunkPlace, MAX_INLINE_CHUNKS, Segment, Slot, StoredWal};
use crate::identity::PutId;
use crate::local::{LocalDatabase, LocalError};
use crate::mutation::{Mutation, broken};
use crate::object::Condition;
use crate::state::Placed;
use crate::stream::{Cut, End, Lsn};

impl OwnedBranch {
    /// Puts the next segment into the bucket: its chunks first, then the segment, one at a time. Returns the last
    /// commit that is durable now. While the bucket is away it tries on; nothing else may take its place.
    ///
    /// # Errors
    /// After each the process must stop answering and exit. Let the future end: one that is dropped ends this owner.
    pub async fn ship(&self, cut: &Cut, local: &dyn LocalDatabase) -> Result<Lsn, ShipError> {
        let _turn = self.shipping.lock().await;
        if let Some(reason) = self.known().ended {
            return Err(ShipError::Ended(reason));
        }
        let mut abandoned = EndIfDropped(Some(self));
        let end = self.end_for(cut)?;
        let (segment, packed) = self.segment(cut, &end, local).await?;
        let end = end.after(&segment.wal);
        let key = self.at.keys.slot(&self.at.name, &end.id, end.sequence);
        let slot = Slot::Segment(segment);
        if broken(Mutation::AcknowledgeEarly) {
            let bytes = slot.encode().map_err(ReadError::content(&key))?;
            drop(self.at.bucket.store.put(&key, bytes.into(), Condition::IfAbsent).await);
            abandoned.0 = None;
            self.shipped(end, packed);
            return Ok(self.durable());
        }
        let settled = self.at.bucket.settle_at_last(&key, &slot, &Condition::IfAbsent).await?;
        if let Settled::Other(other) = settled {
            self.end(FENCED);
            let found = other.map_or("nothing".to_owned(), |(slot, _)| match slot {
                Slot::Seal(seal) => format!("the seal of epoch {}", seal.epoch),
                Slot::Segment(_) => "another segment".to_owned(),
            });
            return Err(ShipError::Fenced { branch: self.at.name.clone(), found });
        }
        abandoned.0 = None;
        self.shipped(end, packed);
        Ok(self.durable())
    }

    /// The last commit that is durable: in the bucket, in a stream that HEAD names.
    pub fn durable(&self) -> Lsn {
        let streams = self.streams();
        let Named { end, writable, .. } = &streams.named;
        if let Some(next) = streams.next.as_ref().filter(|_| broken(Mutation::AcknowledgeTheNextStream)) {
            return Lsn { manifest: next.id.manifest, offset: next.length };
        }
        // What an owner before left is not this owner's WAL.
        Lsn { manifest: end.id.manifest, offset: if *writable { end.length } else { 0 } }
    }

    /// Whether nothing can be shipped before the first publish: the branch was never published in this lineage, or
    /// its holder before ended without a seal.
    pub fn must_publish_first(&self) -> bool {
        !self.streams().named.writable
    }

    /// The end of the stream that a cut continues.
    fn end_for(&self, cut: &Cut) -> Result<End, ShipError> {
        let streams = self.streams();
        let named = streams.named.writable.then_some(&streams.named.end);
        let end = named
            .into_iter()
            .chain(&streams.next)
            .find(|end| end.id.manifest == cut.manifest && end.length == cut.wal.start);
        end.cloned().ok_or_else(|| {
            let (wal, number, named) = (&cut.wal, cut.manifest, &streams.named.end);
            let message = format!(
                "WAL {wal:?} after manifest {number} does not continue the stream {} of {} bytes",
                named.id, named.length
            );
            LocalError::lasting(message).into()
        })
    }

    fn shipped(&self, end: End, packed: Placed) {
        let mut streams = self.streams();
        if streams.named.end.id == end.id {
            streams.named.end = end;
            streams.packed.extend(packed);
        } else {
            streams.next = Some(end);
            streams.next_packed.extend(packed);
        }
    }

    async fn segment(
        &self,
        cut: &Cut,
        end: &End,
        local: &dyn LocalDatabase,
    ) -> Result<(Segment, Placed), ShipError> {
        let wal = local.read_wal(cut.wal.clone()).await?;
        if wal.len() as u64 != cut.wal.end - cut.wal.start {
            return Err(LocalError::lasting(format!("the WAL has no bytes {:?}", cut.wal)).into());
        }
        let stored = self.stored(end, wal).await?;
        let after = end.after(&stored);
        let few = cut.chunks.len() <= MAX_INLINE_CHUNKS as u64;
        let (packs, chunks, packed) = if few {
            (Vec::new(), self.inline(cut, local).await?, Placed::new())
        } else {
            let packed = self.pack(cut, end, local).await?;
            let (packs, chunks) = listed(&packed);
            (packs, chunks, packed)
        };
        let segment = Segment {
            put_id: PutId::from_bytes(self.at.bucket.environment.random_id()),
            branch: self.at.name.clone(),
            stream: end.id,
            sequence: after.sequence,
            base: end.length,
            encryption: self.at.bucket.codec.encryption(),
            wal: stored,
            wal_hash: *after.hasher.finalize().as_bytes(),
            commits: cut.commits.clone(),
            file_size: cut.file_size,
            packs,
            chunks,
        };
        Ok((segment, packed))
    }

    /// WAL as the next segment of a stream stores it.
    async fn stored(&self, end: &End, wal: Bytes) -> Result<StoredWal, ShipError> {
        let (codec, id, sequence) = (self.at.bucket.codec.clone(), end.id, end.sequence + 1);
        let bytes = wal.len();
        let work = move || {
            let stored = codec.store_wal(&id, sequence, &wal)?.into();
            Ok::<_, LocalError>(StoredWal { length: wal.len(), stored })
        };
        Ok(self.at.bucket.environment.compute_on(bytes, work).await?)
    }

    async fn inline(&self, cut: &Cut, local: &dyn LocalDatabase) -> Result<Vec<CarriedChunk>, ShipError> {
        let lineage = self.known().head.lineage;
        let mut chunks = Vec::new();
        for index in cut.chunks.iter() {
            let (index, raw) = read_chunk(local, index, cut.file_size).await?;
            let codec = self.at.bucket.codec.clone();
            let work = move || {
                let hash = codec.chunk_hash(lineage, index, &raw);
                Ok::<_, LocalError>((hash, codec.store_chunk(lineage, index, &raw)?))
            };
            let (hash, stored) = self.at.bucket.environment.compute(work).await?;
            chunks.push(CarriedChunk { index, hash, place: ChunkPlace::Inline(stored.into()) });
        }
        Ok(chunks)
    }

    /// Uploads the chunks in packs, named as the next publish's, which takes them over.
    async fn pack(&self, cut: &Cut, end: &End, local: &dyn LocalDatabase) -> Result<Placed, ShipError> {
        let known = self.known();
        let maker = Maker {
            bucket: &self.at.bucket,
            keys: &self.at.keys,
            branch: &self.at.name,
            lineage: known.head.lineage,
            epoch: known.head.epoch,
            number: end.id.manifest + 1,
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let chunks = stream::iter(cut.chunks.iter())
                .map(|index| async move { Ok(read_chunk(local, index, cut.file_size).await?) })
                .buffered(READS_IN_FLIGHT);
            match maker.upload_packs(chunks, None, &Placed::new()).await {
                Ok(packs) => return Ok(packs.placed),
                Err(UploadError::Local(error)) => return Err(error.into()),
                Err(UploadError::Read(error)) => return Err(error.into()),
                Err(UploadError::Object(error)) => {
                    tracing::warn!(branch = %self.at.name, attempt, %error, "a pack was not uploaded; trying on");
                    self.at.bucket.back_off(attempt).await;
                }
            }
        }
    }
}

/// Packs and chunks as a segment lists them.
fn listed(packed: &Placed) -> (Vec<ObjectName>, Vec<CarriedChunk>) {
    let mut numbers: BTreeMap<Arc<ObjectName>, u16> = BTreeMap::new();
    let mut packs = Vec::new();
    let chunks = packed.values().map(|(name, chunk)| {
        let number = *numbers.entry(name.clone()).or_insert_with(|| {
            packs.push(name.as_ref().clone());
            // At most one pack per chunk, so fewer than 65,536.
            u16::try_from(packs.len() - 1).unwrap_or(u16::MAX)
        });
        let place = ChunkPlace::Packed { pack: number, offset: chunk.offset, length: chunk.length };
        CarriedChunk { index: chunk.index, hash: chunk.hash, place }
    });
    let chunks = chunks.collect();
    (packs, chunks)
}
