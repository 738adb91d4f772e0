//! Whether an endpoint keeps the promises that the protocol rests on.

use bytes::Bytes;

use super::{Changed, Condition, ETag, ObjectError, ObjectStore};
use crate::environment::Environment;
use crate::keys::join_prefix;

/// Largest object that a probe reads.
const LIMIT: u64 = 4_096;
/// Keys that a probe lists.
const LISTED: usize = 1;

/// Why a bucket cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No decisive answer.
    #[error("the storage endpoint cannot be reached: {0}")]
    Unreachable(ObjectError),
    /// The key has no right to read, write, list or delete there.
    #[error("the storage endpoint denies {operation}: {cause}")]
    Denied {
        /// GET, PUT, LIST or DELETE.
        operation: &'static str,
        /// The answer.
        cause: ObjectError,
    },
    /// The endpoint ignores or lacks conditional writes.
    #[error("the storage endpoint does not honour {header}: {why}; Roost needs conditional writes")]
    ConditionalWritesUnsupported {
        /// The header.
        header: &'static str,
        /// The behaviour that was seen.
        why: String,
    },
    /// Something else that a person must look at (no such bucket, a refused request).
    #[error("the bucket cannot be used: {0}")]
    Unusable(ObjectError),
}

/// Writes, overwrites, reads, lists and deletes one object `<prefix>/.roost/probe-<random>`, and tries to replace one that
/// is not there.
pub async fn probe(
    store: &dyn ObjectStore,
    prefix: &str,
    environment: &Environment,
) -> Result<(), ProbeError> {
    let key = join_prefix(prefix, &format!(".roost/probe-{}", hex::encode(environment.random_id())));
    let absent = format!("{key}-absent");
    let result = check(store, &key, &absent).await;
    let mut cleaned = Ok(());
    for key in [&key, &absent] {
        cleaned = cleaned.and(store.delete(key).await.map_err(|error| classify("DELETE", error)));
    }
    result.and(cleaned)
}

async fn check(store: &dyn ObjectStore, key: &str, absent: &str) -> Result<(), ProbeError> {
    let first = Bytes::from_static(b"a probe of conditional writes; safe to delete");
    let second = Bytes::from_static(b"a probe of conditional writes, overwritten; safe to delete");
    let put = |bytes: &Bytes, condition| store.put(key, bytes.clone(), condition);
    let etag = put(&first, Condition::IfAbsent).await.map_err(|error| unsupported("If-None-Match", error))?;
    refuses("If-None-Match", "an existing object was overwritten", put(&second, Condition::IfAbsent).await)?;
    let newer = put(&second, Condition::IfMatch(etag.clone()))
        .await
        .map_err(|error| unsupported("If-Match", error))?;
    refuses(
        "If-Match",
        "another version was overwritten",
        put(&first, Condition::IfMatch(etag.clone())).await,
    )?;
    // A HEAD that was deleted with its tenant must not come back by its owner's next publish.
    let replaced = store.put(absent, first.clone(), Condition::IfMatch(newer.clone())).await;
    refuses("If-Match", "an object that does not exist was replaced", replaced)?;
    let object = store.get(key, LIMIT).await.map_err(|error| classify("GET", error))?;
    if object.bytes != second || object.etag != newer || newer == etag {
        return Err(ProbeError::ConditionalWritesUnsupported {
            header: "If-Match",
            why: "the object or its ETag is not the one just written".into(),
        });
    }
    match store.get_if_changed(key, &newer, LIMIT).await.map_err(|error| classify("GET", error))? {
        Changed::Same => {}
        Changed::Changed(_) => {
            return Err(ProbeError::ConditionalWritesUnsupported {
                header: "If-None-Match",
                why: "an unchanged object was sent again".into(),
            });
        }
    }
    store.list(key, None, LISTED).await.map_err(|error| classify("LIST", error))?;
    Ok(())
}

/// A write whose condition does not hold must say so.
fn refuses(header: &'static str, why: &str, answer: Result<ETag, ObjectError>) -> Result<(), ProbeError> {
    match answer {
        Ok(_) => Err(ProbeError::ConditionalWritesUnsupported { header, why: why.to_owned() }),
        Err(ObjectError::PreconditionFailed { .. }) => Ok(()),
        Err(error) => Err(unsupported(header, error)),
    }
}

/// A conditional write that should have succeeded: `501 Not Implemented` and the like mean the header.
fn unsupported(header: &'static str, error: ObjectError) -> ProbeError {
    match error {
        ObjectError::Rejected { .. } | ObjectError::PreconditionFailed { .. } => {
            ProbeError::ConditionalWritesUnsupported { header, why: error.to_string() }
        }
        error => classify("PUT", error),
    }
}

fn classify(operation: &'static str, error: ObjectError) -> ProbeError {
    match error {
        ObjectError::Undecided { .. } => ProbeError::Unreachable(error),
        ObjectError::Denied { .. } => ProbeError::Denied { operation, cause: error },
        error => ProbeError::Unusable(error),
    }
}
