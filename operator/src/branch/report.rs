//! The status of a Branch: a pure function of what was observed and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use roost_crds::{
    BranchStatus, Endpoint, OperatingMode, Reason, ServingState,
    conditions::{self, Serves},
    reasons::Truth,
};

use super::{
    act::Acted,
    observe::{Observed, Origin, Owner},
};
use crate::{expiry, fault::Fault};

/// Reports.
pub fn report(observed: &Observed, acted: &Acted, host: &str, now: &Time) -> BranchStatus {
    let branch = &observed.branch;
    let before = branch.status.clone().unwrap_or_default();
    let generation = branch.metadata.generation.unwrap_or_default();
    let facts = observed.serving.facts();
    let verdict = verdict(observed, acted);
    let (namespace, tenant, name) =
        (branch.namespace().unwrap_or_default(), &branch.spec.tenant_name, branch.branch_name());
    let made = acted.made.clone();
    BranchStatus {
        observed_generation: Some(generation),
        conditions: conditions::report(
            &before.conditions,
            Serves::Connections,
            verdict.reason,
            &verdict.message,
            generation,
            now,
        ),
        state: Some(state(observed, acted, &verdict)),
        class_name: observed.class.class.as_ref().map(|class| class.name_any()).or(before.class_name),
        endpoint: Some(Endpoint {
            host: host.to_owned(),
            database: format!("{tenant}@{name}"),
            path: format!("/v1/namespaces/{namespace}/tenants/{tenant}/branches/{name}/query"),
        }),
        database_size: facts.database_size.or(before.database_size),
        last_active_time: facts.last_active.or(before.last_active_time),
        position: facts
            .position
            .or_else(|| made.as_ref().map(|(position, _)| position.clone()))
            .or(before.position),
        origin: made.and_then(|(_, origin)| origin).or(before.origin),
        durable_lag: facts.durable_lag,
        expiration_time: expiry::expiration(
            branch.metadata.creation_timestamp.as_ref(),
            branch.spec.ttl.as_ref(),
        ),
        location: if observed.made() || acted.made.is_some() {
            observed.location.clone().or(before.location)
        } else {
            before.location
        },
        branch_name: Some(name),
    }
}

fn verdict(observed: &Observed, acted: &Acted) -> Fault {
    if observed.branch.metadata.deletion_timestamp.is_some() {
        return acted
            .fault
            .clone()
            .unwrap_or_else(|| Fault::new(Reason::Deleting, "waits for its pod, then deletes"));
    }
    if let Owner::Lacking(fault) = &observed.owner {
        return fault.clone();
    }
    if observed.class.class.is_none() {
        return observed
            .class
            .fault
            .clone()
            .unwrap_or_else(|| Fault::new(Reason::ClassNotFound, "waits for a class"));
    }
    if let Some(fault) = &acted.fault {
        return fault.clone();
    }
    if !observed.made() && acted.made.is_none() {
        return match &observed.origin {
            Origin::Awaited(fault) => fault.clone(),
            _ => Fault::new(Reason::Initializing, "it is being created"),
        };
    }
    if let Some(fault) = &observed.class.fault {
        return fault.clone();
    }
    let mode = observed.mode();
    if mode == OperatingMode::Running
        && let Some(fault) = &observed.trouble
        && observed.serving.state() != ServingState::Serving
    {
        return fault.clone();
    }
    let (reason, message) = observed.serving.reason(mode);
    Fault::new(reason, message)
}

fn state(observed: &Observed, acted: &Acted, verdict: &Fault) -> ServingState {
    if observed.branch.metadata.deletion_timestamp.is_some() {
        return ServingState::Deleting;
    }
    let row = verdict.reason.row();
    match observed.serving.shown_state(observed.mode()) {
        state @ (ServingState::Serving | ServingState::Draining | ServingState::Waking) => state,
        _ if row.stalled && row.available == Truth::False => ServingState::Failed,
        _ if !observed.made() && acted.made.is_none() => ServingState::Pending,
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
    use roost_crds::{ConditionType, Position};
    use serde_json::json;

    fn show(observed: &Observed, acted: &Acted) -> (String, ServingState) {
        let now = Time("2026-11-20T10:00:00Z".parse().unwrap());
        let status = report(observed, acted, "gateway", &now);
        let reason = conditions::reason_of(&status.conditions, ConditionType::Ready).unwrap();
        (reason.to_owned(), status.state.unwrap())
    }

    #[test]
    fn reasons_and_states() {
        let acted = Acted::default();
        let table: [(&dyn Fn(&mut Observed), bool, &str, ServingState); 6] = [
            (&|_| (), true, "Idle", ServingState::Idle),
            (&|_| (), false, "Initializing", ServingState::Pending),
            (
                &|seen| seen.owner = Owner::Lacking(Fault::new(Reason::TenantDeleted, "gone")),
                true,
                "TenantDeleted",
                ServingState::Failed,
            ),
            (
                &|seen| seen.owner = Owner::Lacking(Fault::new(Reason::TenantNotFound, "waits")),
                false,
                "TenantNotFound",
                ServingState::Pending,
            ),
            (
                &|seen| seen.serving = Serving { pod: Some(pod()), runtime: None },
                true,
                "Serving",
                ServingState::Serving,
            ),
            (
                &|seen| seen.class.fault = Some(Fault::new(Reason::StorageChangeRefused, "other bucket")),
                true,
                "StorageChangeRefused",
                ServingState::Idle,
            ),
        ];
        for (change, made, reason, state) in table {
            let mut seen = observed(json!({}), json!({}), made);
            change(&mut seen);
            assert_eq!(show(&seen, &acted), (reason.to_owned(), state));
        }
    }

    #[test]
    fn a_taken_name_is_told_and_records_no_location() {
        let seen = observed(json!({}), json!({}), false);
        let acted = Acted { fault: Some(Fault::new(Reason::BranchNameTaken, "taken")), ..Acted::default() };
        assert_eq!(show(&seen, &acted), ("BranchNameTaken".to_owned(), ServingState::Failed));
        let now = Time("2026-11-20T10:00:00Z".parse().unwrap());
        assert!(report(&seen, &acted, "gateway", &now).location.is_none());
        let made = Acted { made: Some((Position::default(), None)), ..Acted::default() };
        assert!(report(&seen, &made, "gateway", &now).location.is_some());
    }
}
