//! The write gate: transactions that modify the tenant's database hold it, shared; a checkpoint needs it closed.
//!
//! DuckDB lets CHECKPOINT run beside an open INSERT, whose later commit would then be missing blocks in what was
//! published. So whoever writes takes the gate before its transaction's first modifying statement runs and gives
//! it back after commit or rollback, and a checkpoint runs only when nobody holds it. Who makes an index or changes a
//! type holds it alone.
use crate::config::ROLLBACK_GRACE;
use crate::mutation::{Mutation, broken};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::Instant;

/// Makes a holder roll back; called at most once per closing.
pub(crate) type Interrupter = Arc<dyn Fn() + Send + Sync>;

/// Why the gate could not be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Interrupted holders did not roll back in time; the gate is open again.
    #[error(
        "{holders} transactions did not end after they were interrupted; nothing was checkpointed, try again"
    )]
    HoldersStuck {
        /// Number of transactions that still hold the gate.
        holders: usize,
    },
    /// The gate was closed for ever.
    #[error("the write gate was closed for ever: the database is sealed")]
    Sealed,
}

/// The gate was closed for ever while somebody waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Closed,
    Sealed,
}

struct GateState {
    phase: Phase,
    next_holder: u64,
    /// The holder that has the gate to itself, or waits for that.
    staying: Option<u64>,
    holders: BTreeMap<u64, Interrupter>,
}

/// The write gate of one database; clones are the same gate. See the module.
#[derive(Clone)]
pub(crate) struct WriteGate {
    state: Arc<watch::Sender<GateState>>,
    closer: Arc<Mutex<()>>,
}

impl WriteGate {
    pub fn new() -> Self {
        let state = GateState { phase: Phase::Open, next_holder: 0, staying: None, holders: BTreeMap::new() };
        Self { state: Arc::new(watch::Sender::new(state)), closer: Arc::default() }
    }

    /// Takes the gate, waiting while it is closed. `interrupter` is what a closing calls when its patience ends.
    pub async fn take(&self, interrupter: Interrupter) -> Result<GateHold, Sealed> {
        let mut changes = self.state.subscribe();
        loop {
            match self.try_take(&interrupter) {
                Ok(Some(hold)) => return Ok(hold),
                Ok(None) => {}
                Err(sealed) => return Err(sealed),
            }
            // The sender lives as long as `self`: this cannot fail.
            let _ = changes.wait_for(|state| state.phase != Phase::Closed).await;
        }
    }

    /// Takes the gate if that needs no waiting.
    pub fn try_take(&self, interrupter: &Interrupter) -> Result<Option<GateHold>, Sealed> {
        let mut taken = Ok(None);
        self.state.send_if_modified(|state| {
            match state.phase {
                Phase::Closed => {}
                Phase::Sealed => taken = Err(Sealed),
                Phase::Open => {
                    let holder = state.next_holder;
                    state.next_holder += 1;
                    state.holders.insert(holder, Arc::clone(interrupter));
                    taken = Ok(Some(holder));
                }
            }
            matches!(taken, Ok(Some(_)))
        });
        taken.map(|holder| holder.map(|holder| GateHold { gate: self.clone(), holder }))
    }

    /// Transactions that hold the gate.
    #[cfg(test)]
    pub fn holders(&self) -> usize {
        self.state.borrow().holders.len()
    }

    /// Closes the gate: nobody takes it any more, holders may go on for `patience` and are then interrupted.
    /// Returns once nobody holds it. If this future is dropped, the gate is open again.
    pub async fn close(&self, patience: Duration) -> Result<GateClosure, GateError> {
        let mut turn = std::pin::pin!(Arc::clone(&self.closer).lock_owned());
        let alone = if let Ok(alone) = tokio::time::timeout(patience, &mut turn).await {
            alone
        } else {
            self.interrupt_staying();
            let ended = tokio::time::timeout(ROLLBACK_GRACE, turn).await;
            ended.map_err(|_| GateError::HoldersStuck { holders: self.others(None).len() })?
        };
        self.closed(alone, None, patience).await
    }

    /// The same for one who holds the gate, and stays. `None`, at once, while somebody else closes the gate: they would wait
    /// for each other.
    pub async fn close_beside(
        &self,
        hold: &GateHold,
        patience: Duration,
    ) -> Result<Option<GateClosure>, GateError> {
        let Ok(alone) = Arc::clone(&self.closer).try_lock_owned() else { return Ok(None) };
        self.closed(alone, Some(hold.holder), patience).await.map(Some)
    }

    async fn closed(
        &self,
        alone: OwnedMutexGuard<()>,
        stays: Option<u64>,
        patience: Duration,
    ) -> Result<GateClosure, GateError> {
        let mut sealed = false;
        self.state.send_modify(|state| match state.phase {
            Phase::Sealed => sealed = true,
            Phase::Open | Phase::Closed => (state.phase, state.staying) = (Phase::Closed, stays),
        });
        if sealed {
            return Err(GateError::Sealed);
        }
        let closure = GateClosure { gate: self.clone(), closed_at: Instant::now(), _alone: alone };
        if self.wait_until_free(stays, patience).await {
            return Ok(closure);
        }
        for interrupt in self.others(stays) {
            interrupt();
        }
        if self.wait_until_free(stays, ROLLBACK_GRACE).await {
            return Ok(closure);
        }
        Err(GateError::HoldersStuck { holders: self.others(stays).len() })
    }

    /// Whoever has the gate to itself is a holder like any other for who waits to close it.
    fn interrupt_staying(&self) {
        let staying = {
            let state = self.state.borrow();
            state.staying.and_then(|holder| state.holders.get(&holder).cloned())
        };
        if let Some(interrupt) = staying {
            interrupt();
        }
    }

    fn others(&self, stays: Option<u64>) -> Vec<Interrupter> {
        let state = self.state.borrow();
        let others = state.holders.iter().filter(|(holder, _)| Some(**holder) != stays);
        others.map(|(_, interrupter)| Arc::clone(interrupter)).collect()
    }

    async fn wait_until_free(&self, stays: Option<u64>, patience: Duration) -> bool {
        let mut changes = self.state.subscribe();
        let without = broken(Mutation::PublishWithoutTheGate);
        let free =
            changes.wait_for(|state| state.holders.keys().all(|holder| Some(*holder) == stays) || without);
        tokio::time::timeout(patience, free).await.is_ok()
    }
}

/// One transaction's share of the gate; dropping it gives it back.
pub(crate) struct GateHold {
    gate: WriteGate,
    holder: u64,
}

impl Drop for GateHold {
    fn drop(&mut self) {
        self.gate.state.send_modify(|state| {
            state.holders.remove(&self.holder);
        });
    }
}

/// The gate is closed and nobody holds it; dropping this opens it, unless it was sealed.
pub(crate) struct GateClosure {
    gate: WriteGate,
    closed_at: Instant,
    _alone: OwnedMutexGuard<()>,
}

impl GateClosure {
    /// When the gate was closed: no transaction that modifies the database has begun to since.
    pub fn closed_at(&self) -> Instant {
        self.closed_at
    }

    pub fn is_sealed(&self) -> bool {
        self.gate.state.borrow().phase == Phase::Sealed
    }

    /// The gate never opens again; who waits for it is told so.
    pub fn seal(&self) {
        self.gate.state.send_modify(|state| state.phase = Phase::Sealed);
    }
}

impl Drop for GateClosure {
    fn drop(&mut self) {
        self.gate.state.send_modify(|state| {
            if state.phase == Phase::Closed {
                (state.phase, state.staying) = (Phase::Open, None);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    fn nothing() -> Interrupter {
        Arc::new(|| {})
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_holders_and_keeps_takers_out() {
        let gate = WriteGate::new();
        let hold = gate.take(nothing()).await.unwrap();
        let closing = tokio::spawn({
            let gate = gate.clone();
            async move { gate.close(Duration::from_secs(10)).await }
        });
        tokio::task::yield_now().await;
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.take(nothing()).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!closing.is_finished() && !waiting.is_finished());
        drop(hold);
        let closure = closing.await.unwrap().unwrap();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "a taker passed a closed gate");
        drop(closure);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_is_interrupted_at_the_bound() {
        let gate = WriteGate::new();
        let hold = Arc::new(std::sync::Mutex::new(None));
        let release = Arc::clone(&hold);
        let taken = gate.take(Arc::new(move || drop(release.lock().unwrap().take()))).await.unwrap();
        *hold.lock().unwrap() = Some(taken);
        let begun = tokio::time::Instant::now();
        gate.close(Duration::from_secs(10)).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_holder_fails_the_closing_and_opens_the_gate() {
        let gate = WriteGate::new();
        let _hold = gate.take(nothing()).await.unwrap();
        let error = gate.close(Duration::from_secs(1)).await.err();
        assert_eq!(error, Some(GateError::HoldersStuck { holders: 1 }));
        gate.take(nothing()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_the_gate_to_itself_and_is_stuck_fails_the_closing() {
        let gate = WriteGate::new();
        let hold = gate.take(nothing()).await.unwrap();
        let alone = gate.close_beside(&hold, Duration::ZERO).await.unwrap().unwrap();
        let begun = Instant::now();
        let error = gate.close(Duration::from_secs(10)).await.err();
        assert_eq!(error, Some(GateError::HoldersStuck { holders: 1 }));
        assert_eq!(begun.elapsed(), Duration::from_secs(10) + ROLLBACK_GRACE);
        drop((alone, hold));
        gate.close(Duration::ZERO).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_sealed_gate_tells_who_waits() {
        let gate = WriteGate::new();
        let closure = gate.close(Duration::ZERO).await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.take(nothing()).await.err() }
        });
        tokio::task::yield_now().await;
        closure.seal();
        assert_eq!(waiting.await.unwrap(), Some(Sealed));
        drop(closure);
        assert!(gate.take(nothing()).await.is_err(), "dropping the closure opened a sealed gate");
        assert_eq!(gate.close(Duration::ZERO).await.err(), Some(GateError::Sealed));
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_closing_opens_the_gate() {
        let gate = WriteGate::new();
        let hold = gate.take(nothing()).await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_secs(1), gate.close(Duration::from_mins(1))).await.is_err()
        );
        drop(hold);
        gate.take(nothing()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_has_the_gate_to_itself_until_a_closing_has_waited_for_it() {
        let gate = WriteGate::new();
        let kept = Arc::new(std::sync::Mutex::new(None));
        let release = Arc::clone(&kept);
        let hold = gate.take(Arc::new(move || drop(release.lock().unwrap().take()))).await.unwrap();
        let other = gate.take(nothing()).await.unwrap();
        let stuck = gate.close_beside(&hold, Duration::from_secs(1)).await.err();
        assert_eq!(stuck, Some(GateError::HoldersStuck { holders: 1 }));
        drop(other);
        *kept.lock().unwrap() = gate.close_beside(&hold, Duration::from_secs(1)).await.unwrap();
        assert!(gate.close_beside(&hold, Duration::ZERO).await.unwrap().is_none());
        assert!(gate.try_take(&nothing()).unwrap().is_none(), "two write");
        let begun = Instant::now();
        let publish = gate.close(Duration::from_secs(10));
        let closed = tokio::join!(publish, async {
            // Its transaction ends when what keeps the others out has ended.
            while kept.lock().unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            drop(hold);
        });
        closed.0.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 10);
        assert!(gate.try_take(&nothing()).unwrap().is_some());
    }

    /// Random takers and closers: never a holder while the gate is closed, and everybody gets through.
    #[test]
    fn nobody_holds_a_closed_gate_whatever_the_order() {
        for seed in 0..50 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let gate = WriteGate::new();
                let inside = Arc::new(AtomicUsize::new(0));
                let closed = Arc::new(AtomicBool::new(false));
                let mut tasks = Vec::new();
                for task in 0..12_u64 {
                    let mut random = StdRng::seed_from_u64(seed * 100 + task);
                    let (gate, inside, closed) = (gate.clone(), Arc::clone(&inside), Arc::clone(&closed));
                    tasks.push(tokio::spawn(async move {
                        for _ in 0..20 {
                            let pause = Duration::from_millis(random.random_range(0..30));
                            if task < 3 {
                                let closure = gate.close(Duration::from_hours(1)).await.unwrap();
                                assert!(!closed.swap(true, Ordering::SeqCst), "seed {seed}: closed twice");
                                assert_eq!(inside.load(Ordering::SeqCst), 0, "seed {seed}");
                                tokio::time::sleep(pause).await;
                                assert_eq!(inside.load(Ordering::SeqCst), 0, "seed {seed}");
                                closed.store(false, Ordering::SeqCst);
                                drop(closure);
                            } else {
                                let hold = gate.take(nothing()).await.unwrap();
                                inside.fetch_add(1, Ordering::SeqCst);
                                assert!(!closed.load(Ordering::SeqCst), "seed {seed}: held while closed");
                                tokio::time::sleep(pause).await;
                                inside.fetch_sub(1, Ordering::SeqCst);
                                drop(hold);
                            }
                            tokio::time::sleep(pause).await;
                        }
                    }));
                }
                for task in tasks {
                    task.await.unwrap();
                }
                assert_eq!(gate.holders(), 0);
            });
        }
    }
}
