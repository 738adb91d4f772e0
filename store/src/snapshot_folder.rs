//! Parquet snapshot folders: readable without this software, outlive the tenant.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bucket::{Bucket, MAX_ATTEMPTS, Settled, Signed, WriteError};
use crate::environment::Environment;
use crate::format::FormatError;
use crate::format::ReadError;
use crate::format::json::{self, Document};
use crate::identity::{InvalidName, MAX_NAME, Owner, PutId, TenantPath, check_label};
use crate::keys::join_prefix;
use crate::object::{Condition, MAX_LIST_PAGE, ObjectError, ObjectStore};
use crate::public_error::PublicError;
use roost_protocol::problem::ErrorCode;

/// Largest `metadata.json`.
pub const MAX_METADATA_BYTES: u64 = 16 * 1024 * 1024;

/// A step on a snapshot folder failed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another snapshot has this folder. Nothing was written or deleted.
    #[error(
        "the folder {location} belongs to the Snapshot object with uid {uid} of {owner}; choose another name"
    )]
    SnapshotExists {
        /// The folder.
        location: String,
        /// Uid of the snapshot that has it.
        uid: String,
        /// Its owner.
        owner: Box<Owner>,
    },
    /// Something else than this attempt's part has the part's name.
    #[error("{key} exists with other content: another attempt of this snapshot is running")]
    PartExists {
        /// The object.
        key: String,
    },
    /// A part's name is not valid, or is one of the folder's own.
    #[error("{0:?} is not a valid name of a part")]
    InvalidPart(String),
    /// The folder has objects but no `owner.json`. Nothing was deleted.
    #[error("{0} holds objects but no owner.json, so nobody owns them")]
    OwnerUnknown(String),
    /// A name is not valid.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// A local file.
    #[error("{path} cannot be read: {message}")]
    Local {
        /// The file.
        path: String,
        /// The system's words.
        message: String,
    },
    /// An object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An object could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl PublicError for FolderError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Read(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::SnapshotExists { .. } | Self::PartExists { .. } => ErrorCode::DataOwnedElsewhere,
            _ => ErrorCode::Internal,
        }
    }
}

/// A written part, as `metadata.json` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Name within the folder.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// blake3 of the content, hexadecimal.
    pub blake3: String,
}

/// Name of the object that claims a folder.
const OWNER: &str = "owner.json";
/// Name of the object that makes a snapshot exist.
pub(crate) const METADATA: &str = "metadata.json";
/// Bytes compared at a time when a part may already be there.
const COMPARE_BYTES: u64 = 8 * 1024 * 1024;
/// Times that a folder is listed while it is emptied.
const MAX_DELETE_ROUNDS: usize = 1_000;

/// Content of `owner.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FolderOwner {
    /// Identity of the write.
    pub put_id: PutId,
    /// Whose tenant was exported.
    pub owner: Owner,
    /// Uid of the Snapshot object, or of the scheduled run.
    pub uid: String,
}

impl Document for FolderOwner {
    const FORMAT: &'static str = "roost-snapshot-owner";
    const VERSION: u32 = 1;
    const LIMIT: u64 = 64 * 1024;
}
impl Signed for FolderOwner {
    fn put_id(&self) -> PutId {
        self.put_id
    }
    fn encode(&self) -> Result<Vec<u8>, FormatError> {
        Ok(json::encode(self))
    }
}

/// Result of [`SnapshotFolder::claim`].
#[derive(Debug)]
pub enum Claim {
    /// The folder is this snapshot's, empty but for `owner.json`.
    Ready(SnapshotFolder),
    /// This snapshot is finished: its metadata.
    Finished(Vec<u8>),
}

/// `<prefix>/snapshots/<namespace>/<tenant>/<name>/`, claimed by one snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotFolder {
    bucket: Bucket,
    location: String,
}

impl SnapshotFolder {
    /// Key of the folder, ending in `/`.
    pub fn location(path: &TenantPath, name: &str) -> Result<String, InvalidName> {
        check_label("snapshot name", name, MAX_NAME)?;
        let folder = format!("snapshots/{}/{}/{name}/", path.namespace, path.tenant);
        Ok(join_prefix(&path.prefix, &folder))
    }

    /// Creates `owner.json`, or finds it. Parts of an interrupted attempt of the same uid are removed: one
    /// worker at a time per snapshot is the caller's promise.
    pub async fn claim(
        store: Arc<dyn ObjectStore>,
        environment: Environment,
        path: &TenantPath,
        name: &str,
        owner: &Owner,
        uid: &str,
    ) -> Result<Claim, FolderError> {
        let folder = Self { bucket: Bucket::new(store, environment), location: Self::location(path, name)? };
        let put_id = PutId::from_bytes(folder.bucket.environment.random_id());
        let record = FolderOwner { put_id, owner: owner.clone(), uid: uid.to_owned() };
        let key = folder.key(OWNER);
        match folder.bucket.settle(&key, &record, &Condition::IfAbsent).await? {
            Settled::Mine(_) => return Ok(Claim::Ready(folder)),
            Settled::Other(Some((found, _))) if found.owner == *owner && found.uid == uid => {}
            Settled::Other(Some((found, _))) => return Err(folder.taken(found)),
            Settled::Other(None) => return Err(WriteError::Other { key }.into()),
        }
        match folder.bucket.get(&folder.key(METADATA), MAX_METADATA_BYTES).await {
            Ok(metadata) => Ok(Claim::Finished(metadata.bytes.to_vec())),
            Err(ObjectError::NotFound { .. }) => {
                folder.delete_parts().await?;
                Ok(Claim::Ready(folder))
            }
            Err(error) => Err(ReadError::from(error).into()),
        }
    }

    /// Reads who claimed the folder at `location`, which [`Self::location`] gave; none if nobody did.
    pub async fn claimed_by(
        store: &Arc<dyn ObjectStore>,
        environment: &Environment,
        location: &str,
    ) -> Result<Option<FolderOwner>, FolderError> {
        let bucket = Bucket::new(store.clone(), environment.clone());
        let found = bucket.find::<FolderOwner>(&format!("{location}{OWNER}")).await?;
        Ok(found.map(|(owner, _)| owner))
    }

    /// Gives a folder that the snapshot `from` left behind to the snapshot `uid`, finished or not. Idempotent. The
    /// caller knows that `from` and its worker are gone for good.
    pub async fn reattach(
        store: &Arc<dyn ObjectStore>,
        environment: &Environment,
        location: &str,
        owner: &Owner,
        from: &str,
        uid: &str,
    ) -> Result<(), FolderError> {
        let bucket = Bucket::new(store.clone(), environment.clone());
        let folder = Self { bucket, location: location.to_owned() };
        let key = folder.key(OWNER);
        let Some((found, etag)) = folder.bucket.find::<FolderOwner>(&key).await? else { return Ok(()) };
        if found.uid == uid {
            return Ok(());
        }
        if !found.owner.same_namespace(owner) || found.uid != from {
            return Err(folder.taken(found));
        }
        let put_id = PutId::from_bytes(folder.bucket.environment.random_id());
        let next = FolderOwner { put_id, owner: owner.clone(), uid: uid.to_owned() };
        match folder.bucket.settle(&key, &next, &Condition::IfMatch(etag)).await? {
            Settled::Mine(_) => Ok(()),
            Settled::Other(Some((other, _))) => Err(folder.taken(other)),
            Settled::Other(None) => Err(WriteError::Other { key }.into()),
        }
    }

    /// Uploads a local file as a part (name: segments joined by `/`), without holding it in memory.
    pub async fn put_part(&self, name: &str, file: &Path) -> Result<Part, FolderError> {
        let key = self.part_key(name)?;
        let path = file.to_owned();
        let hashed = self.bucket.environment.compute(move || hash_file(&path)).await;
        let (bytes, hash) = hashed.map_err(|error| local(file, &error))?;
        for attempt in 1.. {
            match self.bucket.store.put_file(&key, file, Condition::IfAbsent).await {
                Ok(_) => break,
                Err(ObjectError::PreconditionFailed { .. }) => {
                    self.check_part(&key, bytes, &hash).await?;
                    break;
                }
                Err(ObjectError::Undecided { .. }) if attempt < MAX_ATTEMPTS => {
                    self.bucket.back_off(attempt).await;
                }
                Err(error) => return Err(WriteError::from(error).into()),
            }
        }
        Ok(Part { name: name.to_owned(), bytes, blake3: hash })
    }

    /// Uploads a small part.
    pub async fn put_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<Part, FolderError> {
        let key = self.part_key(name)?;
        let (size, hash) = (bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string());
        self.put_once(&key, bytes.into(), &hash).await?;
        Ok(Part { name: name.to_owned(), bytes: size, blake3: hash })
    }

    /// Writes `metadata.json`: the snapshot exists from now on.
    pub async fn finish(&self, metadata: Vec<u8>) -> Result<(), FolderError> {
        let key = self.key(METADATA);
        if metadata.len() as u64 > MAX_METADATA_BYTES {
            return Err(WriteError::from(ObjectError::TooLarge { key, limit: MAX_METADATA_BYTES }).into());
        }
        let hash = blake3::hash(&metadata).to_hex().to_string();
        self.put_once(&key, metadata.into(), &hash).await
    }

    /// Deletes the folder if `owner`'s cluster and namespace and `uid` claimed it; metadata.json first, owner.json
    /// last. Idempotent. `location` as [`Self::location`] gave it. Another uid's folder:
    /// [`FolderError::SnapshotExists`], nothing touched.
    pub async fn delete(
        store: &Arc<dyn ObjectStore>,
        environment: &Environment,
        location: &str,
        owner: &Owner,
        uid: &str,
    ) -> Result<(), FolderError> {
        let bucket = Bucket::new(store.clone(), environment.clone());
        let folder = Self { bucket, location: location.to_owned() };
        let Some((found, _)) = folder.bucket.find::<FolderOwner>(&folder.key(OWNER)).await? else {
            let left = folder.bucket.list_first(location, None, 1).await.map_err(ReadError::from)?;
            return if left.is_empty() {
                Ok(())
            } else {
                Err(FolderError::OwnerUnknown(location.to_owned()))
            };
        };
        if !found.owner.same_namespace(owner) || found.uid != uid {
            return Err(folder.taken(found));
        }
        folder.remove(&folder.key(METADATA)).await?;
        folder.delete_parts().await?;
        folder.remove(&folder.key(OWNER)).await
    }

    /// Deletes everything but `owner.json`.
    async fn delete_parts(&self) -> Result<(), FolderError> {
        let owner = self.key(OWNER);
        let mut left = 0;
        for _ in 0..MAX_DELETE_ROUNDS {
            let listed =
                self.bucket.list_first(&self.location, None, MAX_LIST_PAGE).await.map_err(ReadError::from)?;
            left = listed.len();
            let parts: Vec<_> = listed.into_iter().filter(|listed| listed.key != owner).collect();
            if parts.is_empty() {
                return Ok(());
            }
            for part in parts {
                self.remove(&part.key).await?;
            }
        }
        let message = format!("{left} objects are left after deleting");
        Err(WriteError::from(ObjectError::Rejected { key: self.location.clone(), message }).into())
    }

    async fn remove(&self, key: &str) -> Result<(), FolderError> {
        Ok(self.bucket.delete(key).await.map_err(WriteError::from)?)
    }

    /// Creates an object that carries no put-id: equal content is as good as one's own.
    async fn put_once(&self, key: &str, bytes: Bytes, hash: &str) -> Result<(), FolderError> {
        for attempt in 1.. {
            match self.bucket.store.put(key, bytes.clone(), Condition::IfAbsent).await {
                Ok(_) => break,
                Err(ObjectError::PreconditionFailed { .. }) => {
                    return self.check_part(key, bytes.len() as u64, hash).await;
                }
                Err(ObjectError::Undecided { .. }) if attempt < MAX_ATTEMPTS => {
                    self.bucket.back_off(attempt).await;
                }
                Err(error) => return Err(WriteError::from(error).into()),
            }
        }
        Ok(())
    }

    /// Compares what is there with what should be, a range at a time.
    async fn check_part(&self, key: &str, bytes: u64, hash: &str) -> Result<(), FolderError> {
        let other = || FolderError::PartExists { key: key.to_owned() };
        let listed = self.bucket.list_first(key, None, 1).await.map_err(ReadError::from)?;
        if listed.first().is_none_or(|found| found.key != key || found.size != bytes) {
            return Err(other());
        }
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < bytes {
            let end = bytes.min(at + COMPARE_BYTES);
            let range = self.bucket.get_range(key, at..end).await.map_err(ReadError::from)?;
            hasher = self
                .bucket
                .environment
                .compute(move || {
                    hasher.update(&range);
                    hasher
                })
                .await;
            at = end;
        }
        if hasher.finalize().to_hex().as_str() == hash { Ok(()) } else { Err(other()) }
    }

    fn part_key(&self, name: &str) -> Result<String, FolderError> {
        let key = self.key(name);
        if name == OWNER || name == METADATA || crate::object::check_key(&key).is_err() {
            return Err(FolderError::InvalidPart(name.to_owned()));
        }
        Ok(key)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.location)
    }

    fn taken(&self, found: FolderOwner) -> FolderError {
        let (location, owner) = (self.location.clone(), Box::new(found.owner));
        FolderError::SnapshotExists { location, uid: found.uid, owner }
    }
}

fn hash_file(path: &Path) -> std::io::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path)?)?;
    Ok((hasher.count(), hasher.finalize().to_hex().to_string()))
}

fn local(path: &Path, error: &std::io::Error) -> FolderError {
    FolderError::Local { path: path.display().to_string(), message: error.to_string() }
}
