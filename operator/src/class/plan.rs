//! The steps for a TenantClass, and its status: pure functions of what was observed.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use roost_crds::{
    ConditionType, Reason, TenantClass, TenantClassStatus,
    conditions::{Serves, holds, reason_of},
    names::CLASS_FINALIZER,
};
use roost_protocol::grant::StorageLocation;

use crate::{kubernetes::has_finalizer, reasons::Fault};

/// Longest pause before an endpoint that did not answer is asked again.
const UNREACHABLE_RETRY: Duration = Duration::from_mins(1);

/// Pause before a class that is not ready for this reason is probed again.
pub fn probe_pause(reason: Option<&str>, retry: Duration) -> Duration {
    if reason == Some(Reason::StorageUnreachable.as_str()) { UNREACHABLE_RETRY.min(retry) } else { retry }
}

/// The world around a class.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The object.
    pub class: TenantClass,
    /// Number of Tenants and Branches that use it.
    pub users: usize,
    /// The storage by its Secrets, with a hash of everything that a probe depends on.
    pub storage: Result<(StorageLocation, String), Fault>,
}

/// The steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Add or remove the finalizer.
    pub finalizer: Option<bool>,
    /// Probe the bucket.
    pub probe: bool,
}

/// Plans.
pub fn plan(observed: &Observed, now: Timestamp, retry: Duration) -> Steps {
    let in_use = observed.users > 0;
    let finalizer = (has_finalizer(&observed.class, CLASS_FINALIZER) != in_use).then_some(in_use);
    // The API server refuses new finalizers on what is being deleted.
    let finalizer =
        finalizer.filter(|wanted| !wanted || observed.class.metadata.deletion_timestamp.is_none());
    Steps { finalizer, probe: finalizer.is_none() && probe_is_due(observed, now, retry) }
}

fn probe_is_due(observed: &Observed, now: Timestamp, retry: Duration) -> bool {
    let Ok((_, hash)) = &observed.storage else { return false };
    let Some(status) = &observed.class.status else { return true };
    if status.probed_hash.as_ref() != Some(hash) {
        return true;
    }
    let ready = reason_of(&status.conditions, ConditionType::Ready);
    if holds(&status.conditions, ConditionType::Ready) || ready == Some(Reason::ClassInUse.as_str()) {
        return false;
    }
    let retry = probe_pause(ready, retry);
    let age = status.last_probe_time.as_ref().map(|at| now.duration_since(at.0));
    age.is_none_or(|age| Duration::try_from(age).is_ok_and(|age| age >= retry))
}

/// Reports. `probed` is the outcome of a probe just made.
pub fn report(observed: &Observed, probed: Option<&Result<(), Fault>>, now: &Time) -> TenantClassStatus {
    let before = observed.class.status.clone().unwrap_or_default();
    let generation = observed.class.metadata.generation.unwrap_or_default();
    let verdict = match (&observed.storage, probed) {
        (Err(fault), _) | (Ok(_), Some(Err(fault))) => Some(fault.clone()),
        (Ok(_), Some(Ok(()))) => Some(Fault::new(Reason::Ready, "the bucket answers and keeps its promises")),
        (Ok(_), None) => None,
    };
    let deleting = observed.class.metadata.deletion_timestamp.is_some() && observed.users > 0;
    let verdict = if deleting {
        let message = format!("{} Tenants or Branches use it; it goes when they are gone", observed.users);
        Some(Fault::new(Reason::ClassInUse, message))
    } else {
        verdict
    };
    let conditions = match verdict {
        Some(verdict) => verdict.conditions(&before.conditions, Serves::Nothing, generation, now),
        // Nothing new: what the last probe said holds, also of this generation, whose storage is the same.
        None => before
            .conditions
            .into_iter()
            .map(|mut condition| {
                condition.observed_generation = Some(generation);
                condition
            })
            .collect(),
    };
    let hash = observed.storage.as_ref().ok().map(|(_, hash)| hash.clone());
    TenantClassStatus {
        observed_generation: Some(generation),
        conditions,
        last_probe_time: if probed.is_some() { Some(now.clone()) } else { before.last_probe_time },
        probed_hash: if probed.is_some() {
            hash
        } else {
            before.probed_hash.filter(|_| observed.storage.is_ok())
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::secret::Secret;
    use serde_json::json;

    const RETRY: Duration = Duration::from_hours(1);

    fn at(text: &str) -> Time {
        Time(text.parse().unwrap())
    }

    fn observed(hash: &str) -> Observed {
        let class = json!({
            "apiVersion": "roostdb.dev/v1alpha1", "kind": "TenantClass", "metadata": {"name": "a", "generation": 1},
            "spec": {"storage": {"bucket": "tenants", "credentials": {"secretRef": {"name": "s"}}}},
        });
        let location = StorageLocation {
            bucket: "tenants".into(),
            prefix: String::new(),
            endpoint: None,
            region: "auto".into(),
            path_style: true,
            ca_pem: None,
            access_key_id: Secret::new("a"),
            secret_access_key: Secret::new("b"),
            session_token: None,
        };
        Observed {
            class: serde_json::from_value(class).unwrap(),
            users: 0,
            storage: Ok((location, hash.to_owned())),
        }
    }

    fn after(mut seen: Observed, probed: &Result<(), Fault>) -> Observed {
        seen.class.status = Some(report(&seen, Some(probed), &at("2026-11-20T10:00:00Z")));
        seen
    }

    #[test]
    fn probes_follow_changes_and_failures() {
        let soon = at("2026-11-20T10:30:00Z").0;
        let later = at("2026-11-20T11:00:00Z").0;
        let due = |seen: &Observed, now| plan(seen, now, RETRY).probe;
        assert!(due(&observed("h1"), soon));
        let ready = after(observed("h1"), &Ok(()));
        assert!(!due(&ready, later));
        let changed = Observed { storage: observed("h2").storage, ..ready.clone() };
        assert!(due(&changed, soon));
        let denied = after(observed("h1"), &Err(Fault::new(Reason::StorageDenied, "403")));
        assert!(!due(&denied, soon) && due(&denied, later));
        let unreachable = after(observed("h1"), &Err(Fault::new(Reason::StorageUnreachable, "no route")));
        assert!(due(&unreachable, soon));
        let missing =
            Observed { storage: Err(Fault::new(Reason::CredentialsNotFound, "no Secret")), ..observed("h1") };
        assert!(!due(&missing, later));
    }

    #[test]
    fn a_class_in_use_cannot_vanish() {
        let now = at("2026-11-20T10:00:00Z").0;
        let mut used = Observed { users: 2, ..observed("h1") };
        assert_eq!(plan(&used, now, RETRY).finalizer, Some(true));
        used.class.metadata.finalizers = Some(vec![CLASS_FINALIZER.into()]);
        assert_eq!(plan(&used, now, RETRY).finalizer, None);
        used.class.metadata.deletion_timestamp = Some(at("2026-11-20T10:00:00Z"));
        let status = report(&used, None, &at("2026-11-20T10:00:01Z"));
        assert_eq!(reason_of(&status.conditions, ConditionType::Ready), Some("ClassInUse"));
        used.users = 0;
        assert_eq!(plan(&used, now, RETRY).finalizer, Some(false));
    }

    #[test]
    fn a_missing_secret_is_said_at_once_and_its_return_asks_for_a_probe() {
        let ready = after(observed("h1"), &Ok(()));
        let gone = Observed { storage: Err(Fault::new(Reason::CredentialsNotFound, "no Secret")), ..ready };
        let status = report(&gone, None, &at("2026-11-20T12:00:00Z"));
        assert_eq!(reason_of(&status.conditions, ConditionType::Ready), Some("CredentialsNotFound"));
        let mut back = observed("h1");
        back.class.status = Some(status);
        assert!(plan(&back, at("2026-11-20T12:00:01Z").0, RETRY).probe);
    }
}
