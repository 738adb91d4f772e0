//! A bucket in memory that does not answer all that it is asked.
#![allow(dead_code, reason = "each program that uses it uses a part of it")]

use async_trait::async_trait;
use bytes::Bytes;
use roost_store::{
    MemoryStore, ObjectError, ObjectStore,
    object::{Changed, Condition, ETag, Listing, Object},
};
use std::{
    ops::Range,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

/// Fate of a look at HEAD.
#[derive(Clone, Copy, Debug, Default)]
pub enum Looks {
    /// It is answered.
    #[default]
    Answered,
    /// It is answered at once, with what decides nothing.
    Refused,
    /// It is given up after this time.
    Unheard(Duration),
    /// It is answered, and the answer arrives after this time.
    Late(Duration),
    /// The key has no right to it.
    Denied,
}

/// The bucket.
#[derive(Debug, Default)]
pub struct Silent {
    pub memory: MemoryStore,
    /// So many reads of packs get no answer.
    pub unanswered_reads: AtomicU32,
    pub looks: Mutex<Looks>,
}

#[async_trait]
impl ObjectStore for Silent {
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        if self.unanswered_reads.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(no_answer(key));
        }
        self.memory.get_range(key, range).await
    }
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        self.memory.get(key, limit).await
    }
    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        let looks = *self.looks.lock().unwrap();
        match looks {
            Looks::Answered => self.memory.get_if_changed(key, etag, limit).await,
            Looks::Refused => Err(no_answer(key)),
            Looks::Unheard(after) => {
                tokio::time::sleep(after).await;
                Err(no_answer(key))
            }
            Looks::Late(after) => {
                let answer = self.memory.get_if_changed(key, etag, limit).await;
                tokio::time::sleep(after).await;
                answer
            }
            Looks::Denied => Err(ObjectError::Denied { key: key.into(), message: "no such key".into() }),
        }
    }
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        self.memory.put(key, bytes, condition).await
    }
    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        self.memory.put_file(key, path, condition).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        self.memory.list(prefix, after, limit).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.memory.delete(key).await
    }
}

fn no_answer(key: &str) -> ObjectError {
    ObjectError::Undecided { key: key.into(), message: "no answer".into() }
}
