//! The status of a Branch: a pure function of what was observed and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use roost_crds::{BranchStatus, Reason};

use super::{
    act::Acted,
    observe::{Observed, Origin, Owner},
};
use crate::{
    reasons::{
        Fault,
        verdict::{Before, Obstacles},
    },
    reconcile::expiry,
    served,
};

/// Reports.
pub fn report(observed: &Observed, acted: &Acted, host: &str, now: &Time) -> BranchStatus {
    let branch = &observed.branch;
    let before = branch.status.clone().unwrap_or_default();
    let obstacles = obstacles(observed, acted, &before);
    let (position, origin) = acted.made.clone().unzip();
    let shared = served::report((&before).into(), &obstacles, &observed.class, position, now);
    let (namespace, name) = (branch.namespace().unwrap_or_default(), branch.branch_name());
    let located = observed.location.clone().filter(|_| observed.made() || acted.made.is_some());
    BranchStatus {
        observed_generation: shared.observed_generation,
        conditions: shared.conditions,
        state: shared.state,
        class_name: shared.class_name,
        database_size: shared.database_size,
        last_active_time: shared.last_active_time,
        position: shared.position,
        durable_lag: shared.durable_lag,
        endpoint: Some(served::endpoint(host, &namespace, &branch.spec.tenant_name, Some(&name))),
        origin: origin.flatten().or(before.origin),
        wake_failure: before.wake_failure,
        recoverable_from: before.recoverable_from,
        expiration_time: expiry::expiration(
            branch.metadata.creation_timestamp.as_ref(),
            branch.spec.ttl.as_ref(),
        ),
        location: located.or(before.location),
        object_recorded: (acted.object_recorded || before.object_recorded == Some(true)).then_some(true),
        branch_name: Some(name),
    }
}

fn obstacles<'a>(observed: &'a Observed, acted: &'a Acted, before: &'a BranchStatus) -> Obstacles<'a> {
    let unmade = (!observed.made() && acted.made.is_none()).then(|| match &observed.origin {
        Origin::Awaited(fault) => fault.clone(),
        _ => Fault::new(Reason::Initializing, "it is being created"),
    });
    let owner = match &observed.owner {
        Owner::Lacking(fault) => Some(fault),
        Owner::Ready(_) => None,
    };
    let deleting = observed.branch.metadata.deletion_timestamp.is_some();
    Obstacles {
        deleting: deleting.then_some("its pod"),
        owner,
        has_class: observed.class.class.is_some(),
        class: observed.class.fault.as_ref(),
        acted: acted.fault.as_ref(),
        unmade,
        mode: observed.mode(),
        bad_end: observed.bad_end.clone(),
        before: Before {
            conditions: &before.conditions,
            wake_failure: before.wake_failure.as_ref(),
            // A branch starts from something published; it has no script that could fail.
            published: true,
        },
        serving: &observed.serving,
        generation: observed.branch.metadata.generation.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::plan::tests::{observed, pod},
        *,
    };
    use crate::pods::Serving;
    use roost_crds::{ConditionType, PositionSummary, ServingState, conditions};
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
        let table: [(&dyn Fn(&mut Observed), bool, &str, ServingState); 7] = [
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
                &|seen| seen.bad_end = Some(Fault::new(Reason::ReplayFailed, "after 10:00")),
                true,
                "ReplayFailed",
                ServingState::Failed,
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
        let made = Acted { made: Some((PositionSummary::default(), None)), ..Acted::default() };
        assert!(report(&seen, &made, "gateway", &now).location.is_some());
    }
}
