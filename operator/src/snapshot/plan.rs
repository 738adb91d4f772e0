//! The action for a Snapshot: a pure function of what was observed.

use jiff::Timestamp;
use roost_crds::{DeletionPolicy, SnapshotFormat, SnapshotState, names::SNAPSHOT_FINALIZER};

use super::observe::{Observed, Source};
use crate::{kubernetes::has_finalizer, pods::PodView, reconcile::expiry};

/// Tries at a Parquet snapshot before it is given up.
pub const MAX_ATTEMPTS: u32 = 5;
/// Workers of all snapshots at a time.
pub const MAX_WORKERS: usize = 10;

/// One step; there is never more than one at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Adds or removes the finalizer.
    Finalizer(bool),
    /// Deletes the object: its ttl is over.
    Expire,
    /// Publishes the branch if it serves, then pins it and writes the catalogue.
    TakeNative,
    /// Publishes the branch if it serves, then starts a worker.
    StartWorker,
    /// Makes sure that the worker has its grant.
    Grant(Box<PodView>),
    /// Reads a worker's last words.
    Conclude(Box<PodView>),
    /// Removes the worker, then deletes the data and lets the object go.
    StopWorker(Box<PodView>),
    /// Deletes the data and lets the object go.
    Erase,
}

/// Plans.
pub fn plan(observed: &Observed, now: Timestamp) -> Action {
    let snapshot = &observed.snapshot;
    if snapshot.metadata.deletion_timestamp.is_some() {
        return match (has_finalizer(snapshot, SNAPSHOT_FINALIZER), &observed.worker) {
            (false, _) => Action::Nothing,
            (true, Some(worker)) => Action::StopWorker(Box::new(worker.clone())),
            (true, None) => Action::Erase,
        };
    }
    let status = snapshot.status.clone().unwrap_or_default();
    let end = expiry::of_completed(snapshot, status.completion_time.as_ref());
    if expiry::is_over(end.as_ref(), now) {
        return Action::Expire;
    }
    let wants_finalizer = snapshot.spec.deletion_policy() == DeletionPolicy::Delete;
    if has_finalizer(snapshot, SNAPSHOT_FINALIZER) != wants_finalizer {
        return Action::Finalizer(wants_finalizer);
    }
    if observed.complete() || status.state == Some(SnapshotState::Failed) {
        // A worker that is still there was concluded; its removal may have failed.
        return match &observed.worker {
            Some(worker) if worker.finished() => Action::StopWorker(Box::new(worker.clone())),
            _ => Action::Nothing,
        };
    }
    match (&observed.worker, &observed.source) {
        (Some(worker), _) if worker.finished() => Action::Conclude(Box::new(worker.clone())),
        (Some(worker), _) if worker.leaving || worker.address().is_none() => Action::Nothing,
        (Some(worker), Source::Ready { .. }) => Action::Grant(Box::new(worker.clone())),
        (_, Source::Lacking(_)) => Action::Nothing,
        (None, Source::Ready { .. }) => match snapshot.spec.format() {
            SnapshotFormat::Native => Action::TakeNative,
            SnapshotFormat::Parquet if observed.workers < MAX_WORKERS => Action::StartWorker,
            SnapshotFormat::Parquet => Action::Nothing,
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        pods::{Purpose, Stage, samples},
        reasons::Fault,
    };
    use roost_crds::{Reason, Snapshot, SnapshotStatus, StorageLocation};
    use serde_json::json;
    use std::sync::Arc;

    pub fn worker(stage: Stage) -> PodView {
        let purpose = Purpose::TakeSnapshot { of: samples::branch("main"), snapshot: "s".into() };
        PodView { name: "ws-1".into(), purpose, stage, ..samples::pod() }
    }

    pub fn observed(spec: serde_json::Value, metadata: serde_json::Value) -> Observed {
        let mut whole = json!({"name": "s", "namespace": "shop", "uid": "snapshot-uid", "generation": 1});
        whole.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let mut fields = json!({"tenantName": "acme"});
        fields.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let kind = |kind: &str, metadata: serde_json::Value, spec: serde_json::Value| json!({"apiVersion": "roostdb.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        let storage = json!({"storage": {"bucket": "tenants", "prefix": "prod",
            "credentials": {"secretRef": {"name": "s"}}}});
        let class =
            serde_json::from_value(kind("TenantClass", json!({"name": "standard"}), storage)).unwrap();
        let snapshot: Snapshot = serde_json::from_value(kind("Snapshot", whole, fields)).unwrap();
        let location =
            StorageLocation { namespace: "shop".into(), tenant: "acme".into(), ..StorageLocation::default() };
        Observed {
            snapshot,
            source: Source::Ready { location: Box::new(location), class: Arc::new(class) },
            worker: None,
            workers: 0,
        }
    }

    fn now() -> Timestamp {
        "2026-11-20T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_life_of_a_parquet_snapshot() {
        let mut seen = observed(json!({}), json!({}));
        assert_eq!(plan(&seen, now()), Action::StartWorker);
        seen.worker = Some(worker(Stage::Starting));
        assert_eq!(plan(&seen, now()), Action::Nothing);
        let running = worker(Stage::Running { address: "10.0.0.1".into(), ready: false });
        seen.worker = Some(running.clone());
        assert_eq!(plan(&seen, now()), Action::Grant(Box::new(running)));
        let ended = worker(Stage::Finished { ending: None, exit: samples::exit("Error", 1) });
        seen.worker = Some(ended.clone());
        assert_eq!(plan(&seen, now()), Action::Conclude(Box::new(ended.clone())));
        let failed = SnapshotStatus { state: Some(SnapshotState::Failed), ..SnapshotStatus::default() };
        seen.snapshot.status = Some(failed);
        assert_eq!(plan(&seen, now()), Action::StopWorker(Box::new(ended)));
        seen.worker = None;
        assert_eq!(plan(&seen, now()), Action::Nothing);
    }

    #[test]
    fn native_needs_no_worker_and_workers_are_bounded() {
        assert_eq!(plan(&observed(json!({"format": "Native"}), json!({})), now()), Action::TakeNative);
        let full = Observed { workers: MAX_WORKERS, ..observed(json!({}), json!({})) };
        assert_eq!(plan(&full, now()), Action::Nothing);
        let lacking = Source::Lacking(Fault::new(Reason::TenantNotFound, "waits"));
        let waits = Observed { source: lacking, ..observed(json!({"format": "Native"}), json!({})) };
        assert_eq!(plan(&waits, now()), Action::Nothing);
    }

    #[test]
    fn ttl_counts_from_completion() {
        let mut seen = observed(json!({"ttl": "1h", "format": "Native"}), json!({}));
        let completion_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
        seen.snapshot.status = Some(SnapshotStatus { completion_time, ..SnapshotStatus::default() });
        assert_eq!(plan(&seen, now()), Action::Nothing);
        assert_eq!(plan(&seen, "2026-11-20T11:00:00Z".parse().unwrap()), Action::Expire);
    }

    #[test]
    fn deletion_stops_the_worker_first() {
        let going = json!({"deletionTimestamp": "2026-11-20T10:00:00Z", "finalizers": [SNAPSHOT_FINALIZER]});
        let mut seen = observed(json!({"deletionPolicy": "Delete"}), going);
        let running = worker(Stage::Starting);
        seen.worker = Some(running.clone());
        assert_eq!(plan(&seen, now()), Action::StopWorker(Box::new(running)));
        seen.worker = None;
        assert_eq!(plan(&seen, now()), Action::Erase);
    }
}
