//! The status of a Tenant: a pure function of what was observed and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use roost_crds::{
    ConditionType, Endpoint, OperatingMode, Reason, ServingState, TenantStatus,
    conditions::{self, Serves},
};

use super::{
    act::Acted,
    observe::{Observed, Source},
};
use crate::fault::Fault;

/// Reports.
pub fn report(observed: &Observed, acted: &Acted, host: &str, now: &Time) -> TenantStatus {
    let before = observed.tenant.status.clone().unwrap_or_default();
    let generation = observed.tenant.metadata.generation.unwrap_or_default();
    let mode = observed.tenant.spec.operating_mode();
    let now_made = acted.made.clone();
    let facts = observed.serving.facts();
    let verdict = verdict(observed, acted, &before, generation);
    let conditions = conditions::report(
        &before.conditions,
        Serves::Connections,
        verdict.reason,
        &verdict.message,
        generation,
        now,
    );
    let (namespace, name) = (observed.tenant.namespace().unwrap_or_default(), observed.tenant.name_any());
    let published =
        observed.published() || facts.position.as_ref().is_some_and(|position| position.manifest > 0);
    let script_hash = match &observed.script {
        Some(Ok(script)) if published => Some(blake3::hash(script.as_bytes()).to_hex().to_string()),
        _ => None,
    };
    TenantStatus {
        observed_generation: Some(generation),
        state: Some(state(observed, &verdict, mode, now_made.is_some())),
        class_name: observed.class.class.as_ref().map(|class| class.name_any()).or(before.class_name),
        endpoint: Some(Endpoint {
            host: host.to_owned(),
            database: name.clone(),
            path: format!("/v1/namespaces/{namespace}/tenants/{name}/query"),
        }),
        database_size: facts.database_size.or(before.database_size),
        last_active_time: facts.last_active.or(before.last_active_time),
        position: facts
            .position
            .or_else(|| now_made.as_ref().map(|(position, _)| position.clone()))
            .or(before.position),
        durable_lag: facts.durable_lag,
        init_script_hash: before.init_script_hash.or(script_hash),
        last_snapshot_time: observed
            .snapshots
            .first()
            .map(|latest| latest.completion_time.clone())
            .or(before.last_snapshot_time),
        snapshots: observed.snapshots.clone(),
        location: now_made.map(|(_, location)| location).or(before.location),
        conditions,
    }
}

/// The one reason to show: what keeps the spec from being realised, else what the pod does.
fn verdict(observed: &Observed, acted: &Acted, before: &TenantStatus, generation: i64) -> Fault {
    if observed.tenant.metadata.deletion_timestamp.is_some() {
        return acted
            .fault
            .clone()
            .unwrap_or_else(|| Fault::new(Reason::Deleting, "waits for its pods, then deletes"));
    }
    let Some(_class) = &observed.class.class else {
        return observed
            .class
            .fault
            .clone()
            .unwrap_or_else(|| Fault::new(Reason::ClassNotFound, "waits for a class"));
    };
    if let Some(fault) = &acted.fault {
        return fault.clone();
    }
    if !observed.made() && acted.made.is_none() {
        return match &observed.source {
            Source::Awaited(fault) => fault.clone(),
            _ => Fault::new(Reason::Initializing, "its data is being created"),
        };
    }
    let serving = observed.serving.state() == ServingState::Serving;
    if let Some(fault) = &observed.class.fault {
        return fault.clone();
    }
    if observed.tenant.spec.operating_mode() == OperatingMode::Suspended {
        let (reason, message) = observed.serving.reason(OperatingMode::Suspended);
        return Fault::new(reason, message);
    }
    if let Some(Err(fault)) = &observed.script
        && !observed.published()
        && !serving
    {
        return fault.clone();
    }
    if let Some(fault) = observed.trouble.clone().or_else(|| kept(observed, before, generation))
        && !serving
    {
        return fault;
    }
    let (reason, message) = observed.serving.reason(OperatingMode::Running);
    Fault::new(reason, message)
}

/// A failure that another replica, elected before, saw: it holds until a pod serves or the spec changes.
fn kept(observed: &Observed, before: &TenantStatus, generation: i64) -> Option<Fault> {
    let ready = before.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str())?;
    let reason =
        [Reason::RestoreFailed, Reason::CrashLooping].into_iter().find(|r| r.as_str() == ready.reason)?;
    let same_spec = ready.observed_generation == Some(generation);
    // What a script failed at is over once something was published; a pod on its way is no proof yet.
    let over = reason == Reason::RestoreFailed && observed.published();
    (same_spec && !over && observed.serving.state() != ServingState::Serving)
        .then(|| Fault::new(reason, ready.message.clone()))
}

fn state(observed: &Observed, verdict: &Fault, mode: OperatingMode, made_now: bool) -> ServingState {
    if observed.tenant.metadata.deletion_timestamp.is_some() {
        return ServingState::Deleting;
    }
    let row = verdict.reason.row();
    let has_data = made_now || observed.made();
    match observed.serving.shown_state(mode) {
        // A pod is a fact whatever else is said.
        state @ (ServingState::Serving | ServingState::Draining | ServingState::Waking) => state,
        _ if row.stalled && row.available == roost_crds::reasons::Truth::False => ServingState::Failed,
        _ if !has_data => ServingState::Pending,
        state => state,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::plan::tests::{observed, pod},
        *,
    };
    use crate::serving::Serving;
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
        let table = [
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
                with(&|seen, _| seen.trouble = Some(Fault::new(Reason::CrashLooping, "killed"))),
                ("CrashLooping", "00", ServingState::Failed),
            ),
            (
                with(&|seen, _| {
                    seen.trouble = Some(Fault::new(Reason::CrashLooping, "killed"));
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
        seen.trouble = Some(Fault::new(Reason::RestoreFailed, "line 2"));
        let status = report(&seen, &Acted::default(), "gateway", &now());
        seen.trouble = None;
        seen.tenant.status = Some(status);
        assert_eq!(summary(&seen, &Acted::default()).0, "RestoreFailed");
        seen.tenant.metadata.generation = Some(4);
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
