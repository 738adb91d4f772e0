//! Drives one kind's reconciler from its queue with bounded concurrency.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::queue::{Key, Queue};
use crate::{
    context::NoTrust, kubernetes, metrics::ReconcileMetrics, pods::api::CreateError, slots::SlotError,
    storage::OpenError,
};

/// Pause after a conflict: somebody changed the object meanwhile.
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// A reconcile could not come to an end; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server.
    #[error("the API server failed: {0}")]
    Api(#[from] kube::Error),
    /// Secrets or the client made of them.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Keys.
    #[error(transparent)]
    Trust(#[from] NoTrust),
    /// A pod.
    #[error(transparent)]
    Pod(#[from] CreateError),
    /// Slots.
    #[error(transparent)]
    Slot(#[from] SlotError),
}

impl ReconcileError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(error) if kubernetes::is_conflict(error))
    }
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// When something changes.
    OnChange,
    /// After this, or when something changes.
    After(Duration),
    /// After a pause that grows each time, or when something changes.
    Backoff,
}

/// One kind's reconciler.
#[async_trait]
pub trait Reconcile: Send + Sync + 'static {
    /// Name of the kind, for logs and metrics.
    const KIND: &'static str;

    /// Brings one object to what its spec says.
    async fn reconcile(&self, key: &Key) -> Result<Requeue, ReconcileError>;
}

/// Runs until `stop`; looks under way are finished.
pub async fn drive<R: Reconcile>(
    reconciler: Arc<R>,
    queue: Arc<Queue>,
    concurrency: usize,
    metrics: ReconcileMetrics,
    stop: CancellationToken,
) {
    let mut running = JoinSet::new();
    loop {
        while running.len() >= concurrency {
            running.join_next().await;
        }
        let key = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            key = queue.next() => key,
        };
        metrics.queued(R::KIND, queue.len());
        let (reconciler, queue, metrics) = (Arc::clone(&reconciler), Arc::clone(&queue), metrics.clone());
        let span = tracing::info_span!("reconcile", kind = R::KIND, object = %key);
        running.spawn(
            async move {
                let start = Instant::now();
                let result = reconciler.reconcile(&key).await;
                metrics.observe(R::KIND, result.is_ok(), start.elapsed());
                tracing::debug!(outcome = ?result, millis = start.elapsed().as_millis(), "reconciled");
                match result {
                    Ok(Requeue::OnChange) => queue.done(key, None),
                    Ok(Requeue::After(pause)) => queue.done(key, Some(pause)),
                    Ok(Requeue::Backoff) => queue.failed(key),
                    Err(error) if error.is_conflict() => queue.done(key, Some(CONFLICT_PAUSE)),
                    Err(error) => {
                        tracing::warn!(%error, "reconcile failed");
                        queue.failed(key);
                    }
                }
            }
            .instrument(span),
        );
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}
