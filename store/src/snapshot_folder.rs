//! Parquet snapshot folders: readable without this software, outlive the tenant.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::advice::Advice;
use crate::bucket::WriteError;
use crate::environment::Environment;
use crate::format::ReadError;
use crate::identity::{InvalidName, Owner, TenantPath};
use crate::object::ObjectStore;

/// Largest `metadata.json`.
pub const MAX_METADATA_BYTES: u64 = 16 * 1024 * 1024;

/// A step on a snapshot folder failed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another snapshot has this folder. Nothing was written or deleted.
    #[error("the folder {location} belongs to snapshot {uid} of {owner}")]
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

impl FolderError {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::SnapshotExists { .. } | Self::InvalidPart(_) | Self::InvalidName(_) => Advice::FixInput,
            Self::PartExists { .. } => Advice::GiveUp,
            Self::OwnerUnknown(_) => Advice::AskOperator,
            Self::Local { .. } => Advice::Retry,
            Self::Read(error) => error.advice(),
            Self::Write(error) => error.advice(),
        }
    }
}

/// What a written part is, for `metadata.json`.
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

/// What [`SnapshotFolder::claim`] found.
#[derive(Debug)]
pub enum Claim {
    /// The folder is this snapshot's, empty but for `owner.json`.
    Ready(SnapshotFolder),
    /// This snapshot is finished: its metadata.
    Finished(Vec<u8>),
}

/// `<prefix>/snapshots/<namespace>/<tenant>/<name>/`, claimed by one snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotFolder {}

#[allow(clippy::unused_async, unused_variables)]
impl SnapshotFolder {
    /// Key of the folder, ending in `/`.
    pub fn location(path: &TenantPath, name: &str) -> Result<String, InvalidName> {
        todo!()
    }
    /// Creates `owner.json`, or finds it. Parts of an interrupted attempt of the same uid are removed.
    pub async fn claim(
        store: Arc<dyn ObjectStore>,
        environment: Environment,
        path: &TenantPath,
        name: &str,
        owner: &Owner,
        uid: &str,
    ) -> Result<Claim, FolderError> {
        todo!()
    }
    /// Uploads a local file as a part (name: segments joined by `/`), without holding it in memory.
    pub async fn put_part(&self, name: &str, file: &Path) -> Result<Part, FolderError> {
        todo!()
    }
    /// Uploads a small part.
    pub async fn put_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<Part, FolderError> {
        todo!()
    }
    /// Writes `metadata.json`: the snapshot exists from now on.
    pub async fn finish(&self, metadata: Vec<u8>) -> Result<(), FolderError> {
        todo!()
    }
    /// Deletes the folder if `owner` and `uid` claimed it; metadata.json first, owner.json last. Idempotent. `location`
    /// as [`Self::location`] gave it. Another uid's folder: [`FolderError::SnapshotExists`], nothing touched.
    pub async fn delete(
        store: &Arc<dyn ObjectStore>,
        environment: &Environment,
        location: &str,
        owner: &Owner,
        uid: &str,
    ) -> Result<(), FolderError> {
        todo!()
    }
}
