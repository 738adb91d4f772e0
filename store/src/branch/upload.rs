//! Upload of changed chunks, in packs, and of the pages that list them, with bounded memory.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::bucket::Bucket;
use crate::chunk::chunk_count;
use crate::format::manifest::PageRef;
use crate::format::name::ObjectName;
use crate::format::pack::{PackBuilder, PackedChunk};
use crate::format::page::{self, CHUNKS_PER_PAGE, ChunkEntry, Page};
use crate::format::{FormatError, ReadError};
use crate::identity::{BranchName, Lineage, ObjectId};
use crate::keys::Keys;
use crate::local::LocalError;
use crate::object::ObjectError;
use crate::state::{LoadedState, Pages, Placed};

/// Packs being uploaded at a time; with the one being filled, the bound of a publish's memory.
pub const PACKS_IN_FLIGHT: usize = 2;
/// Chunks being hashed and compressed at a time.
const ENCODINGS_IN_FLIGHT: usize = 4;
/// Pages being uploaded at a time.
const PAGES_IN_FLIGHT: usize = 4;

/// Why chunks could not be uploaded.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The chunks' source is the local database.
    Local(LocalError),
    /// The chunks' source is another position.
    Read(ReadError),
    /// An upload.
    Object(ObjectError),
}
impl From<LocalError> for UploadError {
    fn from(error: LocalError) -> Self {
        Self::Local(error)
    }
}
impl From<ReadError> for UploadError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}
impl From<ObjectError> for UploadError {
    fn from(error: ObjectError) -> Self {
        Self::Object(error)
    }
}
impl From<FormatError> for UploadError {
    fn from(error: FormatError) -> Self {
        Self::Local(error.into())
    }
}

/// The publish that objects are made for, as their names tell it.
pub(crate) struct Maker<'a> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) keys: &'a Keys,
    pub(crate) branch: &'a BranchName,
    pub(crate) lineage: Lineage,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
}

/// The places of chunks in packs; chunks read and uploaded, and bytes uploaded.
pub(crate) struct Packs {
    pub(crate) placed: Placed,
    pub(crate) read: u64,
    pub(crate) uploaded: u64,
    pub(crate) bytes: u64,
}

/// A chunk, by what it still needs.
enum Encoded {
    /// Nothing: the base has the same content.
    Unchanged,
    /// Only a page's entry: it is in a pack already.
    Packed(u64, (Arc<ObjectName>, PackedChunk)),
    /// To be put into a pack.
    New(u64, Vec<u8>, [u8; 32]),
}

/// All pages of the new state, old and new; the counts of [`Packs`], whose bytes here include the new pages.
pub(crate) struct Made {
    pub(crate) pages: Pages,
    pub(crate) refs: Vec<PageRef>,
    pub(crate) read: u64,
    pub(crate) uploaded: u64,
    pub(crate) bytes: u64,
}

impl Maker<'_> {
    /// Uploads those `chunks` that differ from `base` and are not `packed` yet, and the pages that change.
    pub(crate) async fn upload(
        &self,
        chunks: impl Stream<Item = Result<(u64, Bytes), UploadError>>,
        base: Option<&LoadedState>,
        packed: &Placed,
        file_size: u64,
    ) -> Result<Made, UploadError> {
        let Packs { placed, read, uploaded, bytes } = self.upload_packs(chunks, base, packed).await?;
        let (pages, refs, page_bytes) = self.upload_pages(&placed, base, file_size).await?;
        Ok(Made { pages, refs, read, uploaded, bytes: bytes + page_bytes })
    }

    /// Uploads those `chunks` that differ from `base` and are not `packed` yet, in packs.
    pub(crate) async fn upload_packs(
        &self,
        chunks: impl Stream<Item = Result<(u64, Bytes), UploadError>>,
        base: Option<&LoadedState>,
        packed: &Placed,
    ) -> Result<Packs, UploadError> {
        let mut made = Packs { placed: Placed::new(), read: 0, uploaded: 0, bytes: 0 };
        let encoded = chunks
            .map(|chunk| async { self.encode(chunk?, base, packed).await })
            .buffered(ENCODINGS_IN_FLIGHT);
        let mut encoded = pin!(encoded);
        let mut uploads = FuturesUnordered::new();
        let mut open: Option<PackBuilder> = None;
        let mut more = true;
        while more || !uploads.is_empty() {
            tokio::select! {
                biased;
                Some(done) = uploads.next(), if !uploads.is_empty() => {
                    let (name, size, index): (ObjectName, u64, Vec<PackedChunk>) = done?;
                    made.bytes += size;
                    made.uploaded += index.len() as u64;
                    let name = Arc::new(name);
                    made.placed.extend(index.into_iter().map(|chunk| (chunk.index, (name.clone(), chunk))));
                }
                chunk = encoded.next(), if more && uploads.len() < PACKS_IN_FLIGHT => {
                    if let Some(chunk) = chunk {
                        made.read += 1;
                        let (index, stored, hash) = match chunk? {
                            Encoded::Unchanged => continue,
                            Encoded::Packed(index, place) => {
                                made.placed.insert(index, place);
                                continue;
                            }
                            Encoded::New(index, stored, hash) => (index, stored, hash),
                        };
                        let mut pack = open.take().unwrap_or_else(|| PackBuilder::new(self.name(), &self.bucket.codec));
                        pack.push(index, &stored, hash);
                        if pack.is_full() {
                            uploads.push(self.put_pack(pack));
                        } else {
                            open = Some(pack);
                        }
                    } else {
                        more = false;
                        uploads.extend(open.take().map(|pack| self.put_pack(pack)));
                    }
                }
            }
        }
        Ok(made)
    }

    /// Compares a chunk with those that are stored, and encodes it if it is new.
    async fn encode(
        &self,
        (index, raw): (u64, Bytes),
        base: Option<&LoadedState>,
        packed: &Placed,
    ) -> Result<Encoded, UploadError> {
        let before = match base {
            Some(base) => base.chunk(index).await?.map(|(pack, entry)| (pack.lineage, entry.hash)),
            None => None,
        };
        let packed = packed.get(&index).cloned();
        let (lineage, codec) = (self.lineage, self.bucket.codec.clone());
        let work = move || {
            if before.is_some_and(|(lineage, hash)| codec.chunk_hash(lineage, index, &raw) == hash) {
                return Ok(Encoded::Unchanged);
            }
            let hash = codec.chunk_hash(lineage, index, &raw);
            match packed {
                // Its hash is of the lineage of its pack; a pack of another lineage is never the same.
                Some(place) if place.1.hash == hash => Ok(Encoded::Packed(index, place)),
                _ => Ok(Encoded::New(index, codec.store_chunk(lineage, index, &raw)?, hash)),
            }
        };
        self.bucket.environment.compute(work).await
    }

    async fn put_pack(&self, pack: PackBuilder) -> Result<(ObjectName, u64, Vec<PackedChunk>), UploadError> {
        let (name, bytes, index) = self.bucket.environment.compute(move || pack.finish()).await;
        let size = bytes.len() as u64;
        self.bucket.put_immutable(&self.keys.pack(&name), bytes.into()).await?;
        Ok((name, size, index))
    }

    async fn upload_pages(
        &self,
        placed: &Placed,
        base: Option<&LoadedState>,
        file_size: u64,
    ) -> Result<(Pages, Vec<PageRef>, u64), UploadError> {
        let chunks = chunk_count(file_size);
        let count = chunks.div_ceil(CHUNKS_PER_PAGE);
        let made: Vec<_> = stream::iter(0..count)
            .map(|index| async move {
                let first = index * CHUNKS_PER_PAGE;
                let length = (chunks - first).min(CHUNKS_PER_PAGE);
                let number = usize::try_from(index).unwrap_or(usize::MAX);
                let old = base.filter(|base| number < base.manifest.pages.len());
                let changed = placed.range(first..first + length).next().is_some();
                if let Some(base) = old
                    && !changed
                    && base.page_length(index) == length
                    && let Some(cell) = base.pages.cell(number)
                {
                    return Ok((cell, base.manifest.pages[number].clone(), 0));
                }
                let old = match old {
                    Some(base) => Some(base.pages.get(&base.manifest, number).await?),
                    None => None,
                };
                let page = build_page(self.name(), index, length, old, placed)?;
                let (page, reference, bytes) = self.put_page(page).await?;
                Ok::<_, UploadError>((Arc::new(OnceCell::new_with(Some(page))), reference, bytes))
            })
            .buffered(PAGES_IN_FLIGHT)
            .try_collect()
            .await?;
        let bytes = made.iter().map(|(_, _, bytes)| bytes).sum();
        let (cells, refs) = made.into_iter().map(|(cell, reference, _)| (cell, reference)).unzip();
        Ok((Pages::made(self.bucket, self.keys, cells), refs, bytes))
    }

    async fn put_page(&self, page: Page) -> Result<(Page, PageRef, u64), UploadError> {
        let bytes = page::encode(&page);
        let size = bytes.len() as u64;
        let reference = PageRef { name: page.name.clone(), hash: blake3::hash(&bytes).to_hex().to_string() };
        self.bucket.put_immutable(&self.keys.page(&page.name), bytes.into()).await?;
        Ok((page, reference, size))
    }

    fn name(&self) -> ObjectName {
        ObjectName {
            branch: self.branch.clone(),
            lineage: self.lineage,
            epoch: self.epoch,
            manifest: self.number,
            id: ObjectId::from_bytes(self.bucket.environment.random_id()),
        }
    }
}

/// A page of `length` chunks from newly placed chunks and, where there is none, the old page.
fn build_page(
    name: ObjectName,
    index: u64,
    length: u64,
    old: Option<&Page>,
    placed: &Placed,
) -> Result<Page, UploadError> {
    let mut page = Page { name, index, packs: Vec::new(), chunks: Vec::new() };
    let mut numbers: HashMap<ObjectName, u16> = HashMap::new();
    for position in 0..length {
        let chunk = index * CHUNKS_PER_PAGE + position;
        let (pack, entry) = match placed.get(&chunk) {
            Some((pack, new)) => {
                let entry = ChunkEntry { pack: 0, offset: new.offset, length: new.length, hash: new.hash };
                (pack.as_ref(), entry)
            }
            None => old
                .and_then(|old| {
                    let entry = old.chunks.get(usize::try_from(position).ok()?)?;
                    Some((old.packs.get(usize::from(entry.pack))?, *entry))
                })
                .ok_or_else(|| LocalError::lasting(format!("chunk {chunk} was never read")))?,
        };
        // At most one pack per chunk, so at most 4,096.
        let next = u16::try_from(page.packs.len()).unwrap_or(u16::MAX);
        let number = *numbers.entry(pack.clone()).or_insert_with(|| {
            page.packs.push(pack.clone());
            next
        });
        page.chunks.push(ChunkEntry { pack: number, ..entry });
    }
    Ok(page)
}
