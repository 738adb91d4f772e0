//! Election: one replica reconciles, all serve wakes. Losing the lease ends the reconcilers at once.

use std::{sync::Arc, time::Duration};

use kube_lease_manager::LeaseManagerBuilder;
use roost_store::reachability::KnownManifests;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    branch::BranchReconciler,
    class::ClassReconciler,
    context::Context,
    garbage::GarbageReconciler,
    pod_lifecycle::PodReconciler,
    reasons::BadEndsByBranch,
    reconcile::{Elected, Index, Queues, ReconcileError, drive, watch_all},
    snapshot::SnapshotReconciler,
    tenant::TenantReconciler,
    trust,
};

/// Seconds that a lease is valid without renewal.
const LEASE_SECONDS: u64 = 15;
/// Seconds before its end at which it is renewed.
const RENEW_SECONDS: u64 = 5;
/// Pause after the lease could not be set up.
const RETRY: Duration = Duration::from_secs(2);
/// Longest time that looks under way may take once the lease is lost or the process stops.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Pause between looks for slots without a pod, which are freed.
const SWEEP: Duration = Duration::from_secs(30);
/// Pause between looks at whether the first lists are complete.
const SYNC_LOOK: Duration = Duration::from_millis(20);
/// Looks under way at a time, of each kind.
const CONCURRENCY: usize = 16;
/// Tenants whose garbage is collected at a time.
const COLLECTIONS: usize = 4;

/// Takes part in the election until `stop`.
pub async fn lead(context: Arc<Context>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let manager = LeaseManagerBuilder::new(context.client.clone(), &context.config.lease_name)
            .with_namespace(&context.config.namespace)
            .with_identity(&context.config.pod_name)
            .with_duration(LEASE_SECONDS)
            .with_grace(RENEW_SECONDS)
            .build()
            .await;
        match manager {
            Ok(manager) => hold(&context, manager, &stop).await,
            Err(error) => tracing::warn!(%error, "the election's Lease could not be set up"),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn hold(context: &Arc<Context>, manager: kube_lease_manager::LeaseManager, stop: &CancellationToken) {
    let (mut elected, task) = manager.watch().await;
    let mut term: Option<(CancellationToken, tokio::task::JoinHandle<()>)> = None;
    loop {
        let changed = tokio::select! {
            changed = elected.changed() => changed.is_ok(),
            () = stop.cancelled() => false,
        };
        let leads = changed && *elected.borrow_and_update();
        match (&term, leads) {
            (None, true) => {
                let end = stop.child_token();
                term = Some((end.clone(), tokio::spawn(run_term(Arc::clone(context), end))));
            }
            (Some(_), false) => end_term(term.take()).await,
            _ => {}
        }
        if !changed {
            break;
        }
    }
    end_term(term.take()).await;
    // Closing the channel makes the manager release the lease, so that the next replica need not wait.
    drop(elected);
    match tokio::time::timeout(STOP_GRACE, task).await {
        Ok(Ok(Ok(_manager))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the election ended"),
        Ok(Err(error)) => tracing::warn!(%error, "the election ended abnormally"),
        Err(_) => tracing::warn!("the lease was not released in time"),
    }
}

async fn end_term(term: Option<(CancellationToken, tokio::task::JoinHandle<()>)>) {
    let Some((end, mut task)) = term else { return };
    end.cancel();
    if tokio::time::timeout(STOP_GRACE, &mut task).await.is_err() {
        task.abort();
        let _cut = task.await;
        tracing::warn!("reconciles under way were cut");
    }
}

/// Reconciles until `end`.
async fn run_term(context: Arc<Context>, end: CancellationToken) {
    tracing::info!("elected; reconciling");
    let leading = context.metrics.reconciles.lead();
    tokio::select! {
        () = ensure_trust(&context) => {}
        () = end.cancelled() => {}
    }
    let elected = Arc::new(Elected {
        index: Arc::new(Index::default()),
        queues: Queues::default(),
        bad_ends: BadEndsByBranch::default(),
        known_manifests: KnownManifests::default(),
        context: Arc::clone(&context),
    });
    let mut parts = JoinSet::new();
    let queues = elected.queues.clone();
    parts.spawn(watch_all(Arc::clone(&context), Arc::clone(&elected.index), queues.clone(), end.clone()));
    // Who is concerned by a change, and which classes there are, is known only once all lists are complete.
    while !elected.index.synced() && !end.is_cancelled() {
        tokio::time::sleep(SYNC_LOOK).await;
    }
    macro_rules! drive {
        ($reconciler:ident, $queue:ident) => {
            drive!($reconciler, $queue, CONCURRENCY)
        };
        ($reconciler:ident, $queue:ident, $concurrency:expr) => {
            parts.spawn(drive(
                Arc::new($reconciler(Arc::clone(&elected))),
                Arc::clone(&queues.$queue),
                $concurrency,
                context.metrics.reconciles.clone(),
                end.clone(),
            ))
        };
    }
    drive!(ClassReconciler, classes);
    drive!(TenantReconciler, tenants);
    drive!(BranchReconciler, branches);
    drive!(SnapshotReconciler, snapshots);
    drive!(PodReconciler, pods);
    drive!(GarbageReconciler, garbage, COLLECTIONS);
    parts.spawn(sweep(Arc::clone(&context), end.clone()));
    while let Some(ended) = parts.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the reconcilers ended abnormally; giving the lease up");
            end.cancel();
        }
    }
    drop(leading);
    tracing::info!("no longer reconciling");
}

async fn ensure_trust(context: &Context) {
    loop {
        match trust::ensure(&context.client, &context.config.namespace, context.now()).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "the internal keys could not be made"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn sweep(context: Arc<Context>, end: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            () = end.cancelled() => return,
        }
        let pods = async || context.pods.slots().await.map_err(ReconcileError::from);
        match context.slots.sweep(context.now(), pods).await {
            Ok(0) => {}
            Ok(freed) => {
                tracing::info!(freed, "slots without a pod freed");
                context.metrics.reconciles.slots_swept.inc_by(u64::try_from(freed).unwrap_or_default());
            }
            Err(error) => tracing::warn!(%error, "slots could not be swept"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// One whose calls end when the lease is lost, and one with a call that never ends.
    #[tokio::test(start_paused = true)]
    async fn a_replica_that_lost_the_lease_no_longer_says_that_it_reconciles() {
        for ends in [true, false] {
            let metrics = Metrics::new();
            let shows = |line: &str| metrics.encoded().unwrap().contains(line);
            let (end, leading) = (CancellationToken::new(), metrics.reconciles.lead());
            let stop = end.clone();
            let task = tokio::spawn(async move {
                let _leading = leading;
                stop.cancelled().await;
                if !ends {
                    std::future::pending::<()>().await;
                }
            });
            assert!(shows("roost_operator_reconcile_elected 1"));
            end_term(Some((end, task))).await;
            assert!(shows("roost_operator_reconcile_elected 0"), "its calls end: {ends}");
        }
    }
}
