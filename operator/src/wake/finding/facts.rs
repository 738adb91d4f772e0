//! Whether a branch may be woken, by what status says: pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use roost_crds::{Branch, ConditionType, Reason, StorageLocation, Tenant, WakeFailure, reasons::Truth};
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
};

use crate::reasons::code;

/// The part of a Tenant's or Branch's status that a wake needs.
pub(super) struct Facts {
    pub(super) conditions: Vec<Condition>,
    pub(super) location: Option<StorageLocation>,
    pub(super) class: Option<String>,
    /// Number of the last manifest; none before the data was made.
    pub(super) manifest: Option<u64>,
    /// Failure of the last wake.
    pub(super) wake_failure: Option<WakeFailure>,
}

macro_rules! facts_of {
    ($($kind:ty),*) => {$(
        impl From<&$kind> for Facts {
            fn from(object: &$kind) -> Self {
                let status = object.status.clone().unwrap_or_default();
                Self {
                    conditions: status.conditions,
                    location: status.location,
                    class: status.class_name,
                    manifest: status.position.map(|position| position.manifest),
                    wake_failure: status.wake_failure,
                }
            }
        }
    )*};
}

facts_of!(Tenant, Branch);

/// Whether a wake may be tried, by what was said last: what ailed pods or the bucket may be over.
/// Errors: `tenant-not-ready`, `data-missing`, `data-owned-elsewhere`, `storage-denied`, `storage-unreachable`,
/// `conditional-writes-unsupported`, `key-unavailable`, `data-corrupted`, `init-script-failed`, `replay-failed`,
/// `capacity-reached`.
pub(super) fn may_try(key: &BranchKey, facts: &Facts) -> Result<(), Problem> {
    let ready = facts.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str());
    let message = ready.map_or("it was not looked at yet", |ready| ready.message.as_str());
    let reason = ready.and_then(|ready| Reason::named(&ready.reason));
    if facts.manifest.is_some() && facts.location.is_some() {
        let blocks = match reason {
            None
            | Some(
                Reason::RestoreFailed
                | Reason::CrashLooping
                | Reason::WakeFailed
                | Reason::StorageUnreachable
                | Reason::StorageDenied
                // What is not damaged can be asked for, and what is may have been brought back.
                | Reason::DataCorrupt
                // A newer engine may replay what this one cannot.
                | Reason::ReplayFailed
                | Reason::CeilingReached
                | Reason::CredentialsNotFound
                | Reason::CredentialsInvalid
                | Reason::EncryptionKeyInvalid
                | Reason::InputsNotFound
                | Reason::InputsNotPermitted
                // The spec itself says whether it is suspended; the condition may lag behind.
                | Reason::Suspended,
            ) => false,
            Some(reason) => reason.row().available == Truth::False,
        };
        if !blocks {
            return Ok(());
        }
    }
    let told = reason.map_or(ErrorCode::TenantNotReady, code);
    let reason = reason.map_or("Unknown", |reason| reason.as_str());
    Err(Problem::new(told, format!("{key} cannot be woken: {reason}: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
    use roost_crds::conditions::{Serves, report};

    #[test]
    fn what_was_said_last_decides_whether_a_wake_is_tried() {
        let key = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: "main".into() };
        let facts = |reason, made: bool| Facts {
            conditions: report(&[], Serves::Connections, reason, "why", 1, &Time(Timestamp::UNIX_EPOCH)),
            location: made.then(StorageLocation::default),
            class: None,
            manifest: made.then_some(0),
            wake_failure: None,
        };
        for reason in [
            Reason::Idle,
            Reason::Serving,
            Reason::Draining,
            Reason::CrashLooping,
            Reason::ReplayFailed,
            Reason::WakeFailed,
            Reason::CeilingReached,
            Reason::PublishFailing,
            Reason::StorageUnreachable,
        ] {
            assert!(may_try(&key, &facts(reason, true)).is_ok(), "{reason}");
        }
        assert!(may_try(&key, &facts(Reason::StorageChangeRefused, true)).is_ok());
        let table = [
            (facts(Reason::DataMissing, true), ErrorCode::DataMissing),
            (facts(Reason::DataOwnedElsewhere, false), ErrorCode::DataOwnedElsewhere),
            (facts(Reason::Initializing, false), ErrorCode::TenantNotReady),
            (facts(Reason::Deleting, true), ErrorCode::TenantNotReady),
            (facts(Reason::StorageDenied, false), ErrorCode::StorageDenied),
        ];
        for (facts, code) in table {
            let problem = may_try(&key, &facts).unwrap_err();
            assert_eq!(problem.code, code);
            assert!(problem.detail.contains("why"), "{problem}");
        }
    }
}
