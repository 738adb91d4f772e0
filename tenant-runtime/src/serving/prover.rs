//! Ownership while serving: HEAD is read again every few seconds, and no answer leaves on an old proof.

use roost_protocol::{
    durability::Reads,
    problem::{ErrorCode, Problem},
};
use roost_store::{Environment, ObjectError, OwnedBranch, Proof, ProveError, ReadError};
use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Pause between two reads of HEAD while serving.
const INTERVAL: Duration = Duration::from_secs(5);
/// Age of what is known above which nothing is answered before it is known anew.
const MAX_AGE: Duration = Duration::from_secs(10);
/// Longest time that an answer waits for a new proof.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time after which a bucket that has not answered counts as away.
const UNANSWERED: Duration = Duration::from_secs(3);
/// Pause between two signs of life of this process.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Longest time between two signs of life of this process; after a longer one it stood still. Well above [`HEARTBEAT`],
/// for a busy machine makes a process wait for seconds.
const MAX_SILENCE: Duration = Duration::from_secs(7);

/// Keeps the evidence that the branch is ours.
pub struct Prover {
    branch: Arc<OwnedBranch>,
    environment: Environment,
    known: Mutex<Known>,
    lost: watch::Sender<Option<String>>,
    flight: tokio::sync::Mutex<()>,
}

struct Known {
    last: Proof,
    /// When, in monotonic time, the bucket was last found to be away. None: it answered since.
    away: Option<Duration>,
    /// When this process last showed that it runs.
    alive: Duration,
    /// When it noticed that it had not run for a while. That the bucket was away before says nothing of what happened
    /// meanwhile: relaxed reads wait for a proof that was asked for since then.
    woke: Option<Duration>,
}

impl Known {
    /// Notes that this process runs.
    fn tick(&mut self, now: Duration) {
        if now.saturating_sub(self.alive) > MAX_SILENCE {
            self.woke = Some(now);
        }
        self.alive = self.alive.max(now);
    }

    /// Notes that the branch was still ours. The proof may have arrived long ago, before this process stood still.
    fn proven(&mut self, proof: Proof) {
        self.last = self.last.max(proof);
        self.away = None;
        self.woke = self.woke.filter(|woke| proof.sent < *woke);
    }
}

impl Prover {
    /// Starts from the takeover's own write of HEAD.
    pub fn new(branch: Arc<OwnedBranch>, environment: Environment) -> Self {
        let last = branch.first_proof();
        let known = Known { last, away: None, alive: last.sent, woke: None };
        let known = Mutex::new(known);
        Self {
            branch,
            environment,
            known,
            lost: watch::Sender::new(None),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// Ends with the reason once the branch is someone else's.
    pub async fn run(&self) -> String {
        tokio::select! {
            reason = self.prove_until_lost() => reason,
            never = self.show_life() => match never {},
        }
    }

    async fn show_life(&self) -> Infallible {
        loop {
            let now = self.environment.clock.monotonic();
            self.known().tick(now);
            self.environment.clock.sleep(HEARTBEAT).await;
        }
    }

    async fn prove_until_lost(&self) -> String {
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

    /// To be asked right before anything is answered: fine while the last proof is fresh; else proves first. Relaxed
    /// reads are also answered while the bucket is away.
    /// Errors: `storage-unreachable`, `fenced`.
    pub async fn before_answering(&self, wanted: Reads) -> Result<(), Problem> {
        if let Some(reason) = self.lost.borrow().as_deref() {
            return Err(fenced(reason));
        }
        if self.suffices(wanted) {
            return Ok(());
        }
        match tokio::time::timeout(PATIENCE, self.prove_anew()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(problem)) if problem.code == ErrorCode::Fenced => Err(problem),
            _ if self.suffices(wanted) => Ok(()),
            Ok(Err(problem)) => Err(problem),
            Err(_) => Err(unproven("HEAD could not be read in time")),
        }
    }

    /// Whether what is known is enough.
    fn suffices(&self, wanted: Reads) -> bool {
        let now = self.environment.clock.monotonic();
        let mut known = self.known();
        known.tick(now);
        let is_fresh = |at: Duration| now.saturating_sub(at) <= MAX_AGE;
        let away = known.away.is_some_and(is_fresh) && known.woke.is_none();
        is_fresh(known.last.sent) || (wanted == Reads::Relaxed && away)
    }

    async fn prove_anew(&self) -> Result<(), Problem> {
        let asked = self.environment.clock.monotonic();
        let _flight = self.flight.lock().await;
        if self.known().last.sent >= asked {
            return Ok(());
        }
        match self.attempt().await {
            Ok(proof) => {
                self.known().proven(proof);
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

    /// One attempt, which notes while it lasts and when it fails that the bucket is away.
    async fn attempt(&self) -> Result<Proof, ProveError> {
        let clock = &self.environment.clock;
        let note = || {
            let now = clock.monotonic();
            let mut known = self.known();
            known.tick(now);
            known.away = Some(now);
        };
        let mut attempt = pin!(self.branch.prove());
        loop {
            tokio::select! {
                biased;
                outcome = &mut attempt => {
                    if let Err(ProveError::Read(ReadError::Object(ObjectError::Undecided { .. }))) = outcome {
                        note();
                    } else {
                        // It answered, if not what we hoped for.
                        self.known().away = None;
                    }
                    return outcome;
                }
                () = clock.sleep(UNANSWERED) => note(),
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fenced(reason: &str) -> Problem {
    Problem::new(ErrorCode::Fenced, format!("{reason}; send the request again")).retry_after(1)
}

fn unproven(reason: &str) -> Problem {
    let detail = format!("it cannot be proven that this pod still owns the branch: {reason}");
    Problem::new(ErrorCode::StorageUnreachable, detail).retry_after(5)
}
