//! Log lines of Roost's programs, with their times. All run on this machine's clock.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, LogParams},
};
use roost_tests::{Roost, cluster::SYSTEM_NAMESPACE};
use serde_json::Value;

/// A line of a log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it was written.
    pub at: Timestamp,
    fields: Value,
}

impl Entry {
    /// A field as text.
    pub fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }
}

/// The lines of a log that are events of ours.
fn read(log: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let mut line: Value = serde_json::from_str(line).ok()?;
        let at = line["timestamp"].as_str()?.parse().ok()?;
        Some(Entry { at, fields: line["fields"].take() })
    };
    log.lines().filter_map(entry).collect()
}

/// A log, and what is looked for in it.
pub struct Journal(Vec<Entry>);

impl Journal {
    /// Of a runtime pod.
    pub async fn of_pod(roost: &Roost, pod: &str) -> Result<Self> {
        let log = roost.pods().logs(pod, &LogParams::default()).await;
        Ok(Self(read(&log.with_context(|| format!("log of pod {pod}"))?)))
    }

    /// Of all operator replicas, from `since` on.
    pub async fn of_operators(roost: &Roost, since: Timestamp) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(roost.client.clone(), SYSTEM_NAMESPACE);
        let selector = ListParams::default().labels("app.kubernetes.io/name=roost-operator");
        // The API takes whole seconds, and rounds.
        let params =
            LogParams { since_time: Some(since - SignedDuration::from_secs(1)), ..LogParams::default() };
        let mut entries = Vec::new();
        for pod in pods.list(&selector).await? {
            entries.extend(read(&pods.logs(&pod.name_any(), &params).await?));
        }
        Ok(Self(entries.into_iter().filter(|entry| entry.at >= since).collect()))
    }

    /// When the first entry with this message was written that `matches`.
    pub fn when(&self, message: &str, matches: impl Fn(&Entry) -> bool) -> Result<Timestamp> {
        let found = self.0.iter().find(|entry| entry.text("message") == message && matches(entry));
        let lines = || self.0.iter().map(|entry| entry.fields.to_string()).collect::<Vec<_>>().join("\n");
        Ok(found.with_context(|| format!("the log has no fitting {message:?}:\n{}", lines()))?.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_by_message_and_field() {
        let journal = Journal(read(concat!(
            r#"{"timestamp":"2026-01-01T00:00:00.5Z","fields":{"message":"state changed","to":"Claimed"}}"#,
            "\nno event of ours\n",
            r#"{"timestamp":"2026-01-01T00:00:01Z","fields":{"message":"state changed","to":"Serving"}}"#,
        )));
        let at = journal.when("state changed", |entry| entry.text("to") == "Serving").unwrap();
        assert_eq!(at, "2026-01-01T00:00:01Z".parse().unwrap());
        assert!(journal.when("state changed", |entry| entry.text("to") == "Sealed").is_err());
    }
}
