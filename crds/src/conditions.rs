//! Conditions: how a reason becomes what `kubectl wait`, Argo CD and Flux read.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::reasons::{Reason, Truth};

/// Longest message of a condition, in bytes.
pub const MAX_MESSAGE: usize = 4096;

/// Types of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// The spec is realised.
    Ready,
    /// A connection would be served. Tenants and Branches only.
    Available,
    /// The operator is at work or waits for something that will come. Present only while true.
    Reconciling,
    /// A person must fix something. Present only while true.
    Stalled,
}

impl ConditionType {
    /// As written in `conditions[].type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Available => "Available",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a kind reports [`ConditionType::Available`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Tenant, Branch.
    Connections,
    /// Tenant, Branch while nobody could connect whatever the reason is: not made yet, or suspended.
    NoConnections,
    /// Snapshot, TenantClass.
    Nothing,
}

/// The conditions for one reason. Types whose status did not change keep their transition time; Reconciling and
/// Stalled are present only while true, as kstatus wants.
pub fn report(
    before: &[Condition],
    serves: Serves,
    reason: Reason,
    message: &str,
    generation: i64,
    now: &Time,
) -> Vec<Condition> {
    let row = reason.row();
    let mut wanted = vec![(ConditionType::Ready, row.ready)];
    match serves {
        Serves::Connections => wanted.push((ConditionType::Available, row.available)),
        Serves::NoConnections => wanted.push((ConditionType::Available, Truth::False)),
        Serves::Nothing => {}
    }
    for (kind, holds) in
        [(ConditionType::Reconciling, row.reconciling), (ConditionType::Stalled, row.stalled)]
    {
        if holds {
            wanted.push((kind, Truth::True));
        }
    }
    wanted
        .into_iter()
        .map(|(kind, truth)| {
            let unchanged = before.iter().find(|c| c.type_ == kind.as_str() && c.status == truth.as_str());
            Condition {
                type_: kind.as_str().to_owned(),
                status: truth.as_str().to_owned(),
                reason: reason.as_str().to_owned(),
                message: bounded(message),
                observed_generation: Some(generation),
                last_transition_time: unchanged
                    .map_or_else(|| now.clone(), |c| c.last_transition_time.clone()),
            }
        })
        .collect()
}

/// Whether a condition of this type is True.
pub fn holds(conditions: &[Condition], kind: ConditionType) -> bool {
    conditions.iter().any(|c| c.type_ == kind.as_str() && c.status == "True")
}

/// The reason of a condition of this type.
pub fn reason_of(conditions: &[Condition], kind: ConditionType) -> Option<&str> {
    conditions.iter().find(|c| c.type_ == kind.as_str()).map(|c| c.reason.as_str())
}

fn bounded(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let mut end = MAX_MESSAGE - 3;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time(text.parse().unwrap())
    }

    #[test]
    fn keeps_the_time_of_what_did_not_change() {
        let first = report(&[], Serves::Connections, Reason::Idle, "sealed", 1, &at("2026-01-01T00:00:00Z"));
        let later = report(
            &first,
            Serves::Connections,
            Reason::Suspended,
            "suspended",
            2,
            &at("2026-01-02T00:00:00Z"),
        );
        let time = |conditions: &[Condition], name: &str| {
            conditions.iter().find(|c| c.type_ == name).map(|c| c.last_transition_time.clone())
        };
        assert_eq!(time(&later, "Ready"), Some(at("2026-01-01T00:00:00Z")));
        assert_eq!(time(&later, "Available"), Some(at("2026-01-02T00:00:00Z")));
        assert!(later.iter().all(|c| c.observed_generation == Some(2) && c.reason == "Suspended"));
    }

    #[test]
    fn only_what_serves_is_available() {
        let now = at("2026-01-01T00:00:00Z");
        let class = report(&[], Serves::Nothing, Reason::StorageUnreachable, "no route", 1, &now);
        assert_eq!(class.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["Ready", "Reconciling"]);
        assert!(holds(&class, ConditionType::Reconciling) && !holds(&class, ConditionType::Ready));
        assert_eq!(reason_of(&class, ConditionType::Ready), Some("StorageUnreachable"));
        for (serves, available) in [(Serves::Connections, true), (Serves::NoConnections, false)] {
            let refused = report(&[], serves, Reason::ClassNotAllowed, "not for it", 1, &now);
            assert_eq!(holds(&refused, ConditionType::Available), available, "{serves:?}");
        }
    }

    #[test]
    fn messages_are_bounded_at_a_character() {
        let now = at("2026-01-01T00:00:00Z");
        let message = "é".repeat(MAX_MESSAGE);
        let ready = &report(&[], Serves::Nothing, Reason::Ready, &message, 1, &now)[0];
        assert!(ready.message.len() <= MAX_MESSAGE && ready.message.ends_with("..."));
    }
}
