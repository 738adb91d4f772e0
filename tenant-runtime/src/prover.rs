//! Ownership while serving: HEAD is read again every few seconds, and no answer leaves on an old proof.

use roost_protocol::problem::{ErrorCode, Problem};
use roost_store::{Environment, OwnedBranch, Proof, ProveError};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, watch};

/// How often HEAD is read again while serving.
const INTERVAL: Duration = Duration::from_secs(5);
/// Age of the last proof above which nothing is answered before a new one.
const MAX_AGE: Duration = Duration::from_secs(10);
/// How long an answer waits for a new proof.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the evidence that the branch is ours.
pub struct Prover {
    branch: Arc<OwnedBranch>,
    environment: Environment,
    last: watch::Sender<Proof>,
    lost: watch::Sender<Option<String>>,
    flight: Mutex<()>,
}

impl Prover {
    /// Starts from the takeover's own write of HEAD.
    pub fn new(branch: Arc<OwnedBranch>, environment: Environment) -> Self {
        let last = watch::Sender::new(branch.first_proof());
        Self { branch, environment, last, lost: watch::Sender::new(None), flight: Mutex::default() }
    }

    /// Ends with the reason once the branch is someone else's.
    pub async fn run(&self) -> String {
        let mut lost = self.lost.subscribe();
        loop {
            if let Some(reason) = lost.borrow_and_update().clone() {
                return reason;
            }
            tokio::select! {
                biased;
                changed = lost.changed() => drop(changed),
                () = self.environment.clock.sleep(INTERVAL) => {
                    // Failures show in the age of the last proof.
                    let _ = self.prove_anew().await;
                }
            }
        }
    }

    /// The branch turned out to be someone else's: nothing is answered any more.
    pub fn revoke(&self, reason: String) {
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            if first {
                *lost = Some(reason);
            }
            first
        });
    }

    /// To be asked right before anything is answered: fine while the last proof is fresh; else proves first.
    pub async fn before_answering(&self) -> Result<(), Problem> {
        if let Some(reason) = self.lost.borrow().as_deref() {
            return Err(fenced(reason));
        }
        if self.age() <= MAX_AGE {
            return Ok(());
        }
        match tokio::time::timeout(PATIENCE, self.prove_anew()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(problem)) => Err(problem),
            Err(_) => Err(unproven("HEAD could not be read in time")),
        }
    }

    /// Whether answers may leave without waiting.
    pub fn is_fresh(&self) -> bool {
        self.lost.borrow().is_none() && self.age() <= MAX_AGE
    }

    fn age(&self) -> Duration {
        self.environment.clock.monotonic().saturating_sub(self.last.borrow().sent)
    }

    async fn prove_anew(&self) -> Result<(), Problem> {
        let asked = self.environment.clock.monotonic();
        let _flight = self.flight.lock().await;
        if self.last.borrow().sent >= asked {
            return Ok(());
        }
        match self.branch.prove().await {
            Ok(proof) => {
                self.last.send_if_modified(|last| {
                    *last = (*last).max(proof);
                    false
                });
                Ok(())
            }
            Err(ProveError::Read(error)) => {
                tracing::warn!(%error, "ownership could not be proven");
                Err(unproven(&error.to_string()))
            }
            Err(error) => {
                self.revoke(error.to_string());
                Err(fenced(&error.to_string()))
            }
        }
    }
}

fn fenced(reason: &str) -> Problem {
    Problem::new(ErrorCode::Fenced, format!("{reason}; send the request again")).retry_after(1)
}

fn unproven(reason: &str) -> Problem {
    let detail = format!("it cannot be proven that this pod still owns the branch: {reason}");
    Problem::new(ErrorCode::StorageUnreachable, detail).retry_after(5)
}
