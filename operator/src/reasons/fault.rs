//! A fault: a reason, and what is said about it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use roost_crds::{
    ConditionType, Reason,
    conditions::{self, Serves},
};

/// A reason with its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason, as conditions show it.
    pub reason: Reason,
    /// Words for people: what happened, why, what to do.
    pub message: String,
}

impl Fault {
    /// A fault of this reason and message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The conditions that tell it, after those `before`.
    pub fn conditions(
        &self,
        before: &[Condition],
        serves: Serves,
        generation: i64,
        now: &Time,
    ) -> Vec<Condition> {
        conditions::report(before, serves, self.reason, &self.message, generation, now)
    }

    /// A moment that has not come yet is waited for: until then nobody knows what was committed before it.
    pub fn of_future(time: Timestamp, now: Timestamp) -> Option<Self> {
        let message = || format!("waits for {time}, a moment that is to come");
        (time > now).then(|| Self::new(Reason::SourceNotReady, message()))
    }

    /// A snapshot that is to be started from and is not complete, by its conditions: it is waited for, unless it failed.
    pub fn of_incomplete(name: &str, conditions: &[Condition]) -> Self {
        if !conditions::holds(conditions, ConditionType::Stalled) {
            return Self::new(Reason::SourceNotReady, format!("waits for Snapshot {name} to be complete"));
        }
        let why = conditions::reason_of(conditions, ConditionType::Ready).unwrap_or_default();
        let message = format!(
            "Snapshot {name} failed ({why}), so there is nothing to start from; delete this object and create it again \
             with another source"
        );
        Self::new(Reason::SnapshotFailed, message)
    }
}
