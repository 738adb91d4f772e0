//! The status of a Snapshot: a pure function of what was observed and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use roost_crds::{Reason, SnapshotState, SnapshotStatus, conditions::Serves};

use super::{
    act::Acted,
    observe::{Observed, Source},
    plan::MAX_ATTEMPTS,
    taken::Taken,
};
use crate::{reasons::Fault, reconcile::expiry};

/// Reports.
pub fn report(observed: &Observed, acted: &Acted, now: &Time) -> SnapshotStatus {
    let snapshot = &observed.snapshot;
    let before = snapshot.status.clone().unwrap_or_default();
    let generation = snapshot.metadata.generation.unwrap_or_default();
    let attempts = observed.attempts() + u32::from(acted.attempt_failed);
    let (state, verdict) = verdict(observed, acted, &before, attempts);
    let started = acted.taken.is_some() || observed.worker.is_some();
    let taken = acted.taken.clone();
    let completed = |taken: &Taken| taken.completed.map_or_else(|| now.clone(), Time);
    let completion = taken.as_ref().map(completed).or(before.completion_time);
    // Of what an earlier object took nobody knows when work on it began.
    let by_another = taken.as_ref().is_some_and(|taken| taken.by_another);
    let start_time = before.start_time.or_else(|| started.then(|| now.clone())).filter(|_| !by_another);
    let summary = taken.as_ref().map(|taken| taken.summary.clone()).unwrap_or_default();
    SnapshotStatus {
        observed_generation: Some(generation),
        conditions: verdict.conditions(&before.conditions, Serves::Nothing, generation, now),
        state: Some(state),
        format: Some(snapshot.spec.format()),
        // From the first attempt on: what it left is deleted by it.
        location: before.location.or_else(|| if started { observed.location() } else { None }),
        position: taken.and_then(|taken| taken.position).or(before.position),
        size: summary.size.or(before.size),
        table_count: summary.table_count.or(before.table_count),
        row_count: summary.row_count.or(before.row_count),
        largest_tables: if summary.largest_tables.is_empty() {
            before.largest_tables
        } else {
            summary.largest_tables
        },
        start_time,
        expiration_time: expiry::of_completed(snapshot, completion.as_ref()),
        completion_time: completion,
        engine_version: summary.engine_version.or(before.engine_version),
        attempts: (attempts > 0).then_some(attempts),
    }
}

fn verdict(
    observed: &Observed,
    acted: &Acted,
    before: &SnapshotStatus,
    attempts: u32,
) -> (SnapshotState, Fault) {
    if observed.snapshot.metadata.deletion_timestamp.is_some() {
        let deleting = || Fault::new(Reason::Deleting, "is being deleted");
        return (SnapshotState::Deleting, acted.fault.clone().unwrap_or_else(deleting));
    }
    if observed.complete() || acted.taken.is_some() {
        return match &observed.source {
            Source::Lacking(fault) if fault.reason == Reason::TenantDeleted => {
                (SnapshotState::Failed, fault.clone())
            }
            _ => (SnapshotState::Succeeded, complete(acted, before)),
        };
    }
    if before.state == Some(SnapshotState::Failed)
        && let Some(ready) = before.conditions.iter().find(|c| c.type_ == "Ready")
    {
        return (SnapshotState::Failed, Fault::new(Reason::SnapshotFailed, ready.message.clone()));
    }
    if let Some(fault) = &acted.fault {
        if acted.attempt_failed && attempts >= MAX_ATTEMPTS {
            let message = format!("given up after {attempts} attempts: {}", fault.message);
            return (SnapshotState::Failed, Fault::new(Reason::SnapshotFailed, message));
        }
        let state = if fault.reason == Reason::SnapshotFailed {
            SnapshotState::Failed
        } else {
            SnapshotState::Pending
        };
        return (state, fault.clone());
    }
    if observed.worker.is_some() {
        return (SnapshotState::Running, Fault::new(Reason::Exporting, "a worker writes Parquet files"));
    }
    match &observed.source {
        Source::Lacking(fault) => (SnapshotState::Pending, fault.clone()),
        Source::Ready { .. } => {
            (SnapshotState::Pending, Fault::new(Reason::Exporting, "waits for its worker"))
        }
    }
}

/// That it is complete, and whose work that was.
fn complete(acted: &Acted, before: &SnapshotStatus) -> Fault {
    let told =
        before.conditions.iter().find(|c| c.type_ == "Ready" && c.reason == Reason::Reattached.as_str());
    match (&acted.taken, told) {
        (Some(Taken { by_another: true, completed, .. }), _) => {
            let when = completed.map(|time| format!(" at {time}")).unwrap_or_default();
            let message = format!("complete; an earlier Snapshot object of this name took it{when}");
            Fault::new(Reason::Reattached, message)
        }
        (None, Some(told)) => Fault::new(Reason::Reattached, told.message.clone()),
        _ => Fault::new(Reason::Completed, "complete"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Action, plan};
    use super::{
        super::{
            plan::tests::{observed, worker},
            taken::Summary,
        },
        *,
    };
    use crate::pods::Stage;
    use jiff::Timestamp;
    use roost_crds::{ConditionType, conditions};
    use serde_json::json;

    fn now() -> Time {
        Time("2026-11-20T10:00:00Z".parse().unwrap())
    }

    fn show(status: &SnapshotStatus) -> (&str, SnapshotState) {
        (conditions::reason_of(&status.conditions, ConditionType::Ready).unwrap(), status.state.unwrap())
    }

    #[test]
    fn a_complete_snapshot_stays_complete() {
        let mut seen = observed(json!({"format": "Native", "ttl": "1h"}), json!({}));
        let summary = Summary { size: Some(12_288), ..Summary::default() };
        let taken = Taken { summary, ..Taken::default() };
        let first = report(&seen, &Acted { taken: Some(taken), ..Acted::default() }, &now());
        assert_eq!(show(&first), ("Completed", SnapshotState::Succeeded));
        assert_eq!(first.location.as_ref().unwrap().path, "prod/tenants/shop/acme/catalogue/s");
        assert_eq!(first.expiration_time.as_ref().unwrap().0.to_string(), "2026-11-20T11:00:00Z");
        seen.snapshot.status = Some(first.clone());
        let later = Time("2026-11-20T10:30:00Z".parse().unwrap());
        assert_eq!(report(&seen, &Acted::default(), &later), first);
        seen.source = Source::Lacking(Fault::new(Reason::TenantNotFound, "waits"));
        assert_eq!(show(&report(&seen, &Acted::default(), &later)).0, "Completed");
        seen.source = Source::Lacking(Fault::new(Reason::TenantDeleted, "gone"));
        assert_eq!(show(&report(&seen, &Acted::default(), &later)), ("TenantDeleted", SnapshotState::Failed));
    }

    #[test]
    fn what_an_earlier_object_took_keeps_its_time_and_is_told() {
        let made = json!({"creationTimestamp": "2026-11-20T09:59:00Z"});
        let mut seen = observed(json!({"format": "Native", "ttl": "1h"}), made);
        let completed: Timestamp = "2026-10-01T08:00:00Z".parse().unwrap();
        let taken = Taken { completed: Some(completed), by_another: true, ..Taken::default() };
        let first = report(&seen, &Acted { taken: Some(taken), ..Acted::default() }, &now());
        assert_eq!(show(&first), ("Reattached", SnapshotState::Succeeded));
        let ready = first.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
        assert_eq!(ready.status, "True");
        assert!(ready.message.contains("2026-10-01T08:00:00Z"), "{}", ready.message);
        assert_eq!((first.completion_time.clone(), first.start_time.clone()), (Some(Time(completed)), None));
        // Not at once: somebody has just asked for it.
        assert_eq!(first.expiration_time.as_ref().unwrap().0.to_string(), "2026-11-20T10:59:00Z");
        seen.snapshot.status = Some(first.clone());
        assert_eq!(plan(&seen, now().0), Action::Nothing);
        let later = Time("2026-11-20T10:30:00Z".parse().unwrap());
        assert_eq!(report(&seen, &Acted::default(), &later), first);
    }

    #[test]
    fn attempts_are_bounded_and_giving_up_is_final() {
        let mut seen = observed(json!({}), json!({}));
        seen.worker = Some(worker(Stage::Starting));
        assert_eq!(show(&report(&seen, &Acted::default(), &now())), ("Exporting", SnapshotState::Running));
        let failed = Acted {
            attempt_failed: true,
            fault: Some(Fault::new(Reason::SnapshotRetrying, "disk full")),
            ..Acted::default()
        };
        for attempt in 1..=MAX_ATTEMPTS {
            let status = report(&seen, &failed, &now());
            assert_eq!(status.attempts, Some(attempt));
            let last = attempt == MAX_ATTEMPTS;
            assert_eq!(show(&status).0, if last { "SnapshotFailed" } else { "SnapshotRetrying" });
            seen.snapshot.status = Some(status);
        }
        seen.worker = None;
        assert_eq!(
            show(&report(&seen, &Acted::default(), &now())),
            ("SnapshotFailed", SnapshotState::Failed)
        );
    }

    #[test]
    fn a_parquet_folder_lies_outside_the_tenant() {
        let mut seen = observed(json!({}), json!({}));
        seen.worker = Some(worker(Stage::Starting));
        let status = report(&seen, &Acted::default(), &now());
        assert_eq!(status.location.unwrap().path, "prod/snapshots/shop/acme/s/");
    }
}
