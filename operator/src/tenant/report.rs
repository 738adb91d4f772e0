//! The status of a Tenant: a pure function of what was observed and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use roost_crds::{Reason, TenantStatus};

use super::inputs;
use super::{
    act::Acted,
    observe::{Observed, Source},
};
use crate::{
    reasons::{
        Fault,
        verdict::{Before, Obstacles},
    },
    runtime::settings,
    served,
};

/// Reports.
pub fn report(observed: &Observed, acted: &Acted, host: &str, now: &Time) -> TenantStatus {
    let tenant = &observed.tenant;
    let before = tenant.status.clone().unwrap_or_default();
    let obstacles = obstacles(observed, acted, &before);
    let (position, location) = acted.made.clone().unzip();
    let shared = served::report((&before).into(), &obstacles, &observed.class, position, now);
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    let last_words = observed.serving.facts().position;
    let published = observed.published() || last_words.is_some_and(|position| position.manifest > 0);
    let script_hash = match &observed.script {
        Some(Ok(script)) if published => Some(inputs::script_hash(script)),
        _ => None,
    };
    let terms = observed.class.class.as_ref().map(|class| settings::terms(&class.spec, &tenant.spec));
    let latest = observed.snapshots.first().map(|latest| latest.completion_time.clone());
    TenantStatus {
        observed_generation: shared.observed_generation,
        conditions: shared.conditions,
        state: shared.state,
        class_name: shared.class_name,
        database_size: shared.database_size,
        last_active_time: shared.last_active_time,
        position: shared.position,
        durable_lag: shared.durable_lag,
        endpoint: Some(served::endpoint(host, &namespace, &name, None)),
        durability: terms.map(settings::shown_durability),
        wake_failure: before.wake_failure,
        recoverable_from: before.recoverable_from,
        encryption_key: acted.encryption_key.clone().or(before.encryption_key),
        init_script_hash: before.init_script_hash.or(script_hash),
        last_snapshot_time: latest.or(before.last_snapshot_time),
        snapshots: observed.snapshots.clone(),
        location: location.or(before.location),
    }
}

fn obstacles<'a>(observed: &'a Observed, acted: &'a Acted, before: &'a TenantStatus) -> Obstacles<'a> {
    let unmade = (!observed.made() && acted.made.is_none()).then(|| match &observed.source {
        Source::Awaited(fault) => fault.clone(),
        _ => Fault::new(Reason::Initializing, "its data is being created"),
    });
    let script = match &observed.script {
        Some(Err(fault)) if !observed.published() => Some(fault.clone()),
        _ => None,
    };
    let deleting = observed.tenant.metadata.deletion_timestamp.is_some();
    Obstacles {
        deleting: deleting.then_some("its pods"),
        owner: None,
        has_class: observed.class.class.is_some(),
        class: observed.class.fault.as_ref(),
        acted: acted.fault.as_ref(),
        unmade,
        mode: observed.tenant.spec.operating_mode(),
        bad_end: script.or_else(|| observed.bad_end.clone()),
        before: Before {
            conditions: &before.conditions,
            wake_failure: before.wake_failure.as_ref(),
            published: observed.published(),
        },
        serving: &observed.serving,
        generation: observed.tenant.metadata.generation.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::plan::tests::{observed, pod},
        *,
    };
    use crate::pods::{Serving, samples};
    use roost_crds::{ConditionType, OperatingMode, ServingState, WakeFailure, conditions};
    use roost_protocol::status::{RuntimeState, RuntimeStatus};
    use serde_json::json;

    fn now() -> Time {
        Time("2026-11-20T10:00:00Z".parse().unwrap())
    }

    fn summary(observed: &Observed, acted: &Acted) -> (String, String, ServingState) {
        let status = report(observed, acted, "gateway", &now());
        let holds = |kind| conditions::holds(&status.conditions, kind);
        let truth =
            format!("{}{}", u8::from(holds(ConditionType::Ready)), u8::from(holds(ConditionType::Available)));
        let reason = conditions::reason_of(&status.conditions, ConditionType::Ready).unwrap().to_owned();
        (reason, truth, status.state.unwrap())
    }

    #[test]
    fn reasons_states_and_truths() {
        let with = |change: &dyn Fn(&mut Observed, &mut Acted)| {
            let (mut seen, mut acted) = (observed(json!({}), json!({}), true), Acted::default());
            change(&mut seen, &mut acted);
            summary(&seen, &acted)
        };
        let served = |seen: &mut Observed| seen.serving = Serving { pod: Some(pod("main")), runtime: None };
        let lags = |seen: &mut Observed, millis| {
            served(seen);
            let status = samples::status(RuntimeState::Serving);
            seen.serving.runtime = Some(RuntimeStatus { durable_lag_millis: millis, ..status });
        };
        let fails = |seen: &mut Observed, reason: &str| {
            let (reason, message) = (reason.to_owned(), "why".to_owned());
            seen.tenant.status.as_mut().unwrap().wake_failure =
                Some(WakeFailure { reason, message, generation: 3, time: now() });
        };
        let table = [
            (with(&|seen, _| lags(seen, 120_000)), ("Serving", "11", ServingState::Serving)),
            (with(&|seen, _| lags(seen, 120_001)), ("PublishFailing", "01", ServingState::Serving)),
            (with(&|seen, _| fails(seen, "CeilingReached")), ("CeilingReached", "10", ServingState::Idle)),
            (with(&|seen, _| fails(seen, "WakeFailed")), ("WakeFailed", "00", ServingState::Idle)),
            (
                with(&|seen, _| {
                    fails(seen, "WakeFailed");
                    seen.bad_end = Some(Fault::new(Reason::CrashLooping, "killed"));
                }),
                ("CrashLooping", "00", ServingState::Failed),
            ),
            (
                with(&|seen, _| {
                    fails(seen, "WakeFailed");
                    seen.tenant.spec.operating_mode = Some(OperatingMode::Suspended);
                }),
                ("Suspended", "10", ServingState::Suspended),
            ),
            (
                with(&|seen, _| {
                    fails(seen, "WakeFailed");
                    served(seen);
                }),
                ("Serving", "11", ServingState::Serving),
            ),
            (with(&|_, _| ()), ("Idle", "11", ServingState::Idle)),
            (with(&|seen, _| served(seen)), ("Serving", "11", ServingState::Serving)),
            (with(&|seen, _| seen.tenant.status = None), ("Initializing", "00", ServingState::Pending)),
            (
                with(&|seen, acted| {
                    seen.tenant.status = None;
                    acted.fault = Some(Fault::new(Reason::DataOwnedElsewhere, "theirs"));
                }),
                ("DataOwnedElsewhere", "00", ServingState::Failed),
            ),
            (
                with(&|seen, _| seen.bad_end = Some(Fault::new(Reason::CrashLooping, "killed"))),
                ("CrashLooping", "00", ServingState::Failed),
            ),
            (
                with(&|seen, _| {
                    seen.bad_end = Some(Fault::new(Reason::CrashLooping, "killed"));
                    served(seen);
                }),
                ("Serving", "11", ServingState::Serving),
            ),
            (
                with(&|seen, _| {
                    seen.class.fault = Some(Fault::new(Reason::StorageChangeRefused, "other bucket"));
                }),
                ("StorageChangeRefused", "01", ServingState::Idle),
            ),
            (
                with(&|seen, _| seen.tenant.spec.operating_mode = Some(OperatingMode::Suspended)),
                ("Suspended", "10", ServingState::Suspended),
            ),
            (
                with(&|seen, _| seen.script = Some(Err(Fault::new(Reason::InputsNotPermitted, "bind it")))),
                ("InputsNotPermitted", "00", ServingState::Failed),
            ),
        ];
        for ((reason, truth, state), expected) in table {
            assert_eq!((reason.as_str(), truth.as_str(), state), expected);
        }
    }

    #[test]
    fn a_failed_restore_sticks_until_the_spec_changes_or_it_serves() {
        let mut seen = observed(json!({}), json!({}), true);
        seen.bad_end = Some(Fault::new(Reason::RestoreFailed, "line 2"));
        let status = report(&seen, &Acted::default(), "gateway", &now());
        seen.bad_end = None;
        seen.tenant.status = Some(status);
        assert_eq!(summary(&seen, &Acted::default()).0, "RestoreFailed");
        seen.tenant.metadata.generation = Some(4);
        assert_eq!(summary(&seen, &Acted::default()).0, "Idle");
    }

    #[test]
    fn a_wal_that_cannot_be_replayed_is_told_until_a_pod_serves() {
        let mut seen = observed(json!({}), json!({}), true);
        seen.bad_end = Some(Fault::new(Reason::ReplayFailed, "after 10:00"));
        let failed = ("ReplayFailed".to_owned(), "00".to_owned(), ServingState::Failed);
        assert_eq!(summary(&seen, &Acted::default()), failed);
        // Another replica is elected.
        seen.tenant.status = Some(report(&seen, &Acted::default(), "gateway", &now()));
        seen.bad_end = None;
        assert_eq!(summary(&seen, &Acted::default()), failed);
        seen.serving = Serving { pod: Some(pod("main")), runtime: None };
        assert_eq!(summary(&seen, &Acted::default()).0, "Serving");
        seen.tenant.status = Some(report(&seen, &Acted::default(), "gateway", &now()));
        seen.serving = Serving::default();
        assert_eq!(summary(&seen, &Acted::default()).0, "Idle");
    }

    #[test]
    fn nothing_changes_when_nothing_changed() {
        let mut seen = observed(json!({}), json!({}), true);
        let first = report(&seen, &Acted::default(), "gateway", &now());
        seen.tenant.status = Some(first.clone());
        let later = Time("2026-11-21T10:00:00Z".parse().unwrap());
        assert_eq!(report(&seen, &Acted::default(), "gateway", &later), first);
    }
}
