//! An object store over a local directory, safe across processes.
//!
//! One file per object. Every change happens under an exclusive lock on one file of the directory; content is
//! written aside, synced, renamed into place, and the folder synced, so a crash leaves old or new bytes, never
//! a part of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::memory::content_etag;
use super::{Changed, Condition, ETag, Listed, Listing, Object, ObjectError, ObjectStore, check_key};

/// Folder of objects; everything else at the top is ours.
const OBJECTS: &str = "objects";
const LOCK: &str = "lock";
const NEW: &str = "new";
const ID: &str = "id";

/// Objects as files under one folder.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    root: PathBuf,
    id: String,
}

impl DirectoryStore {
    /// Opens (and makes, if absent) the folder. Does file work: not for an async thread.
    #[allow(clippy::disallowed_methods, reason = "a folder of the machine, which no simulation has")]
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(root.join(OBJECTS))?;
        let store = Self { root, id: String::new() };
        let _lock = store.lock()?;
        let path = store.root.join(ID);
        let id = match fs::read_to_string(&path) {
            Ok(id) => id.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 16];
                rand::RngCore::fill_bytes(&mut rand::rng(), &mut bytes);
                let id = hex::encode(bytes);
                store.place(&path, |file| file.write_all(id.as_bytes()))?;
                id
            }
            Err(error) => return Err(error),
        };
        Ok(Self { id, ..store })
    }

    /// A random id made when the folder was first opened: the standalone owner's.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Excludes every other process and thread until dropped.
    fn lock(&self) -> io::Result<File> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.root.join(LOCK))?;
        file.lock()?;
        Ok(file)
    }

    fn path(&self, key: &str) -> Result<PathBuf, ObjectError> {
        check_key(key)?;
        Ok(self.root.join(OBJECTS).join(key))
    }

    /// Puts a file in its place whole, or not at all. The lock must be held.
    fn place(&self, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let new = self.root.join(NEW);
        let mut file = File::create(&new)?;
        write(&mut file)?;
        file.sync_all()?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        fs::rename(&new, path)?;
        // Each folder on the way may be new: its name must survive a crash as well.
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn put_blocking(
        &self,
        key: &str,
        condition: &Condition,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<ETag, ObjectError> {
        let path = self.path(key)?;
        let failed = |error: &io::Error| refused(key, error);
        let _lock = self.lock().map_err(|e| failed(&e))?;
        let holds = match (condition, etag_of(&path).map_err(|e| failed(&e))?) {
            (Condition::Always, _) | (Condition::IfAbsent, None) => true,
            (Condition::IfMatch(expected), Some(found)) => found == *expected,
            _ => false,
        };
        if !holds {
            return Err(ObjectError::PreconditionFailed { key: key.into() });
        }
        self.place(&path, write).map_err(|e| undecided(key, &e))?;
        etag_of(&path)
            .map_err(|e| undecided(key, &e))?
            .ok_or_else(|| ObjectError::NotFound { key: key.into() })
    }

    fn delete_blocking(&self, key: &str) -> Result<(), ObjectError> {
        let path = self.path(key)?;
        let _lock = self.lock().map_err(|e| refused(key, &e))?;
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(key, &error)),
        }
        // Empty folders go as well; the first that is not empty ends this.
        let objects = self.root.join(OBJECTS);
        for folder in path.ancestors().skip(1).take_while(|folder| **folder != objects) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Keys in a key's order: a folder sorts as its name followed by `/`.
    fn walk(&self, folder: &str, prefix: &str, found: &mut Vec<Listed>) -> io::Result<()> {
        let entries = match fs::read_dir(self.root.join(OBJECTS).join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type()?.is_dir() {
                let below = format!("{key}/");
                if below.starts_with(prefix) || prefix.starts_with(&below) {
                    self.walk(&key, prefix, found)?;
                }
            } else if key.starts_with(prefix) {
                // Deleted between the two calls: not there.
                if let Ok(metadata) = entry.metadata() {
                    found.push(Listed { key, size: metadata.len() });
                }
            }
        }
        Ok(())
    }
}

/// Runs file work on a blocking thread.
#[allow(clippy::disallowed_methods, reason = "a folder of the machine, which no simulation has")]
async fn blocking<T: Send + 'static>(
    key: &str,
    work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => Err(ObjectError::Undecided { key: key.into(), message: stopped.to_string() }),
    }
}

fn refused(key: &str, error: &io::Error) -> ObjectError {
    match error.kind() {
        io::ErrorKind::NotFound => ObjectError::NotFound { key: key.into() },
        io::ErrorKind::PermissionDenied => {
            ObjectError::Denied { key: key.into(), message: error.to_string() }
        }
        _ => ObjectError::Rejected { key: key.into(), message: error.to_string() },
    }
}

fn undecided(key: &str, error: &io::Error) -> ObjectError {
    ObjectError::Undecided { key: key.into(), message: error.to_string() }
}

fn etag_of(path: &Path) -> io::Result<Option<ETag>> {
    match File::open(path) {
        Ok(mut file) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(&mut file)?;
            Ok(Some(ETag(format!("\"{}\"", hasher.finalize().to_hex()))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl ObjectStore for DirectoryStore {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        let (path, key) = (self.path(key)?, key.to_owned());
        blocking(&key.clone(), move || {
            // One more byte than allowed shows that it is too large. A rename cannot change an open file.
            let file = File::open(path).map_err(|e| refused(&key, &e))?;
            let mut bytes = Vec::new();
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| refused(&key, &e))?;
            if bytes.len() as u64 > limit {
                return Err(ObjectError::TooLarge { key, limit });
            }
            let etag = content_etag(&bytes);
            Ok(Object { bytes: bytes.into(), etag })
        })
        .await
    }

    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        let object = self.get(key, limit).await?;
        Ok(if object.etag == *etag { Changed::Same } else { Changed::Changed(object) })
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let (path, key) = (self.path(key)?, key.to_owned());
        blocking(&key.clone(), move || {
            let file = File::open(path).map_err(|e| refused(&key, &e))?;
            let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            let size = file.metadata().map_err(|e| refused(&key, &e))?.len();
            if range.end > size {
                return Err(ObjectError::TooShort { key });
            }
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, range.start).map_err(|e| refused(&key, &e))?;
            Ok(bytes.into())
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        let (store, key) = (self.clone(), key.to_owned());
        blocking(&key.clone(), move || store.put_blocking(&key, &condition, |file| file.write_all(&bytes)))
            .await
    }

    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        let (store, path, key) = (self.clone(), path.to_owned(), key.to_owned());
        blocking(&key.clone(), move || {
            let mut source = File::open(&path).map_err(|error| ObjectError::Rejected {
                key: key.clone(),
                message: format!("{} cannot be read: {error}", path.display()),
            })?;
            store.put_blocking(&key, &condition, |file| io::copy(&mut source, file).map(drop))
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        let (store, prefix, after) = (self.clone(), prefix.to_owned(), after.map(str::to_owned));
        blocking(&prefix.clone(), move || {
            let mut objects = Vec::new();
            store.walk("", &prefix, &mut objects).map_err(|e| refused(&prefix, &e))?;
            objects.retain(|listed| after.as_ref().is_none_or(|after| listed.key > *after));
            objects.sort_by(|a, b| a.key.cmp(&b.key));
            let truncated = objects.len() > limit;
            objects.truncate(limit);
            Ok(Listing { objects, truncated })
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let (store, key) = (self.clone(), key.to_owned());
        blocking(&key.clone(), move || store.delete_blocking(&key)).await
    }
}
