//! The status of a Snapshot: a pure function of what was observed and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use roost_crds::{
    Reason, SnapshotState, SnapshotStatus,
    conditions::{self, Serves},
};

use super::{
    act::Acted,
    observe::{Observed, Source},
    plan::MAX_ATTEMPTS,
};
use crate::{expiry, fault::Fault};

/// Reports.
pub fn report(observed: &Observed, acted: &Acted, now: &Time) -> SnapshotStatus {
    let snapshot = &observed.snapshot;
    let before = snapshot.status.clone().unwrap_or_default();
    let generation = snapshot.metadata.generation.unwrap_or_default();
    let attempts = observed.attempts() + u32::from(acted.attempt_failed);
    let (state, verdict) = verdict(observed, acted, &before, attempts);
    let completion = acted.taken.as_ref().map(|_| now.clone()).or(before.completion_time);
    let started = acted.taken.is_some() || observed.worker.is_some();
    let taken = acted.taken.clone();
    let summary = taken.as_ref().map(|taken| taken.summary.clone()).unwrap_or_default();
    SnapshotStatus {
        observed_generation: Some(generation),
        conditions: conditions::report(
            &before.conditions,
            Serves::Nothing,
            verdict.reason,
            &verdict.message,
            generation,
            now,
        ),
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
        start_time: before.start_time.or_else(|| started.then(|| now.clone())),
        expiration_time: expiry::expiration(completion.as_ref(), snapshot.spec.ttl.as_ref()),
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
            _ => (SnapshotState::Succeeded, Fault::new(Reason::Completed, "complete")),
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

#[cfg(test)]
mod tests {
    use super::{
        super::{
            act::{Summary, Taken},
            plan::tests::{observed, worker},
        },
        *,
    };
    use crate::pods::Stage;
    use roost_crds::ConditionType;
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
        let taken = Taken { position: None, summary: Summary { size: Some(12_288), ..Summary::default() } };
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
