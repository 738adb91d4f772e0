//! Writes to the API server and who made them, from its audit log, which the local cluster keeps for this.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

/// Names the log's file.
pub const LOG_VARIABLE: &str = "ROOST_AUDIT_LOG";
/// Objects that are answers and are not stored: asking for them writes nothing.
const REVIEWS: &[&str] =
    &["tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews", "serviceaccounts/token"];

/// A request that wrote.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
    response_status: Option<Status>,
    request_received_timestamp: Timestamp,
}

#[derive(Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Deserialize)]
struct ObjectRef {
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Debug, Deserialize)]
struct Status {
    code: u16,
}

/// A write that took effect.
#[derive(Clone, Debug)]
pub struct Write {
    /// When the API server got the request.
    pub at: Timestamp,
    /// The writer: the last part of a user's name.
    pub who: String,
    /// The action: verb and resource.
    pub what: String,
    /// Namespace of the object; empty if it has none.
    pub namespace: String,
}

/// The log from a moment on.
pub struct Audit {
    path: PathBuf,
    from: u64,
}

impl Audit {
    /// From now on.
    pub fn start() -> Result<Self> {
        let path: PathBuf = env::var_os(LOG_VARIABLE)
            .with_context(|| format!("{LOG_VARIABLE} is not set: use tests/bench/run"))?
            .into();
        let from = std::fs::metadata(&path).with_context(|| path.display().to_string())?.len();
        Ok(Self { path, from })
    }

    /// The writes since then.
    pub fn writes(&self) -> Result<Vec<Write>> {
        let mut file = File::open(&self.path)?;
        // A log that was turned over meanwhile is shorter: then it is read from its start.
        let from = if file.metadata()?.len() < self.from { 0 } else { self.from };
        file.seek(SeekFrom::Start(from))?;
        let mut log = String::new();
        file.read_to_string(&mut log)?;
        Ok(read(&log))
    }
}

fn read(log: &str) -> Vec<Write> {
    let write = |line: &str| {
        let event: Event = serde_json::from_str(line).ok()?;
        let object = event.object_ref?;
        let resource = match object.subresource.as_str() {
            "" => object.resource,
            part => format!("{}/{part}", object.resource),
        };
        let effective = event.response_status.is_some_and(|status| status.code < 400);
        (effective && !REVIEWS.contains(&resource.as_str())).then(|| Write {
            at: event.request_received_timestamp,
            who: event.user.username.rsplit(':').next().unwrap_or_default().to_owned(),
            what: format!("{} {resource}", event.verb),
            namespace: object.namespace,
        })
    };
    log.lines().filter_map(write).collect()
}

/// Tells in words how often each write happened.
pub fn tally<'a>(writes: impl Iterator<Item = &'a Write>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for write in writes {
        *counts.entry(format!("{}: {}", write.who, write.what)).or_default() += 1;
    }
    counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_that_took_effect_count() {
        let line = |verb: &str, resource: &str, code: u16| {
            format!(
                r#"{{"verb":"{verb}","user":{{"username":"system:serviceaccount:roost-system:roost-operator"}},
                "objectRef":{{"resource":"{resource}","namespace":"x"}},"responseStatus":{{"code":{code}}},
                "requestReceivedTimestamp":"2026-01-01T00:00:00Z"}}"#
            )
            .replace('\n', "")
        };
        let log = [
            line("create", "pods", 201),
            line("create", "pods", 409),
            line("create", "tokenreviews", 201),
            "cut of".to_owned(),
        ]
        .join("\n");
        let writes = read(&log);
        assert_eq!(tally(writes.iter()), "1 roost-operator: create pods");
    }
}
