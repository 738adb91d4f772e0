//! A session as others have a hold on it: whether it sees an old state, what of it runs, and how that is made to end.
use super::running::Running;
use super::stop_cause::StopCause;
use super::threads::SessionThreads;
use crate::config::{INTERRUPT_INTERVAL, STOP_PATIENCE};
use roost_duckdb::{InterruptHandle, Progress};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A session with which no thread works, for a thread that ends what is open on its connection, or closes it.
pub(crate) trait Unattended: Send + Sync {
    /// Whether a thread works with it just now.
    fn is_attended(&self) -> bool;
    /// Ends the result that waits for its reader, if what runs has to stop. Blocks.
    fn end_stopped(&self);
    /// Rolls back the transaction that is open while nothing of it runs. Blocks.
    fn roll_back_idle(&self, cause: StopCause);
    /// Closes the connection; a result that is not read to its end is dropped. Blocks.
    fn close(&self);
}

/// The transaction that a client keeps open between its statements.
#[derive(Default)]
struct Transaction {
    /// The client began one, and has not ended it.
    open: bool,
    /// Since when nothing of it runs.
    idle_since: Option<Instant>,
    /// Somebody looks how long it is idle.
    watched: bool,
}

/// Control of a session by others: what they know of it, and do to it.
pub(crate) struct Control {
    runtime: Handle,
    threads: SessionThreads,
    idle_limit: Duration,
    work: OnceLock<Weak<dyn Unattended>>,
    interrupt: OnceLock<InterruptHandle>,
    /// The statement or request that runs, or ran last.
    current: Mutex<Weak<Running>>,
    /// Since when its transaction sees one state of the database.
    snapshot_since: Mutex<Option<Instant>>,
    transaction: Mutex<Transaction>,
    closing: AtomicBool,
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    /// Of a session whose transactions may be idle for so long, on threads of `threads`.
    pub fn new(runtime: Handle, threads: SessionThreads, idle_limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            threads,
            idle_limit,
            work: OnceLock::new(),
            interrupt: OnceLock::new(),
            current: Mutex::default(),
            snapshot_since: Mutex::default(),
            transaction: Mutex::default(),
            closing: AtomicBool::new(false),
        })
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub fn threads(&self) -> &SessionThreads {
        &self.threads
    }

    /// Says where the session's connection is.
    pub fn attach(&self, work: Weak<dyn Unattended>) {
        let _ = self.work.set(work);
    }

    /// The session has its connection; from now on a stop reaches DuckDB.
    pub fn connected(&self, interrupt: InterruptHandle) {
        let _ = self.interrupt.set(interrupt);
    }

    /// Something begins to run, which may take so long.
    pub fn began(self: &Arc<Self>, running: &Arc<Running>, timeout: Duration) {
        *locked(&self.current) = Arc::downgrade(running);
        locked(&self.transaction).idle_since = None;
        let (control, running) = (Arc::clone(self), Arc::clone(running));
        self.runtime.spawn(async move {
            if tokio::time::timeout(timeout, running.until_ended()).await.is_err() {
                control.stop_running(&running, StopCause::Timeout);
            }
        });
    }

    /// Nothing runs any more; whether a transaction of the client's is open.
    pub fn is_idle(self: &Arc<Self>, in_transaction: bool) {
        let mut transaction = locked(&self.transaction);
        transaction.open = in_transaction;
        transaction.idle_since = in_transaction.then(Instant::now);
        if in_transaction && !std::mem::replace(&mut transaction.watched, true) {
            let control = Arc::clone(self);
            self.runtime.spawn(async move { control.watch_idleness().await });
        }
    }

    /// One watch for all transactions of a session: what is idle for too long is rolled back.
    async fn watch_idleness(self: Arc<Self>) {
        let mut sleep = self.idle_limit;
        loop {
            tokio::time::sleep(sleep).await;
            let idle = {
                let mut transaction = locked(&self.transaction);
                let gone = self.work.get().is_none_or(|work| work.strong_count() == 0);
                if !transaction.open || gone {
                    transaction.watched = false;
                    return;
                }
                let since = transaction.idle_since.filter(|_| self.running().is_none());
                since.map_or(Duration::ZERO, |since| since.elapsed())
            };
            if idle >= self.idle_limit {
                self.stop(StopCause::IdleTransaction);
            }
            sleep = self.idle_limit.saturating_sub(idle).max(INTERRUPT_INTERVAL);
        }
    }

    /// Whether the client has a transaction open.
    pub fn in_transaction(&self) -> bool {
        locked(&self.transaction).open
    }

    /// A statement or transaction begins, and with it what is seen of the database.
    pub fn snapshot_taken(&self) {
        locked(&self.snapshot_since).get_or_insert_with(Instant::now);
    }

    /// No transaction is open.
    pub fn snapshot_released(&self) {
        *locked(&self.snapshot_since) = None;
    }

    pub fn sees_state_before(&self, moment: Instant) -> bool {
        locked(&self.snapshot_since).is_some_and(|since| since <= moment)
    }

    /// Gives the statement or request that runs now, if one does.
    pub fn running(&self) -> Option<Arc<Running>> {
        locked(&self.current).upgrade().filter(|running| !running.has_ended())
    }

    /// Tells how far what runs has come, as far as DuckDB can tell.
    pub fn progress(&self) -> Option<Progress> {
        self.interrupt.get().and_then(InterruptHandle::progress)
    }

    /// Makes what runs stop, or, if nothing does, the open transaction end.
    pub fn stop(self: &Arc<Self>, cause: StopCause) {
        match self.running() {
            Some(running) => {
                self.stop_running(&running, cause);
                // It may have ended before it could know of this.
                if running.has_ended() && cause.ends_transaction() {
                    self.on_thread(move |work| work.roll_back_idle(cause));
                }
            }
            None if cause.ends_transaction() => self.on_thread(move |work| work.roll_back_idle(cause)),
            None => {}
        }
    }

    /// Makes this stop, if it runs ([`Running::blame`]). The interrupt is repeated until it has ended,
    /// because DuckDB forgets one that comes between two statements. What does not end is given up.
    pub fn stop_running(self: &Arc<Self>, running: &Arc<Running>, cause: StopCause) {
        if !running.blame(cause) || running.has_ended() {
            return;
        }
        // Kept until the end: whoever reads its result may be gone.
        let work = self.work.get().and_then(Weak::upgrade);
        let (control, running) = (Arc::clone(self), Arc::clone(running));
        self.runtime.spawn(async move {
            let begun = Instant::now();
            loop {
                if let Some(interrupt) = control.interrupt.get() {
                    running.interrupt(interrupt);
                }
                if work.as_ref().is_some_and(|work| !work.is_attended()) {
                    control.on_thread(|work| work.end_stopped());
                }
                // The cause is set: a session that writes nothing now finds it before it could begin to.
                if begun.elapsed() >= STOP_PATIENCE && !running.commits.is_writing() {
                    running.give_up();
                }
                if tokio::time::timeout(INTERRUPT_INTERVAL, running.until_ended()).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// The session ends with what runs, or at once.
    pub fn close(self: &Arc<Self>, cause: StopCause) {
        self.closing.store(true, Ordering::SeqCst);
        match self.running() {
            Some(running) => {
                self.stop_running(&running, cause);
                let control = Arc::clone(self);
                self.runtime.spawn(async move {
                    running.until_ended().await;
                    control.on_thread(|work| work.close());
                });
            }
            None => self.on_thread(|work| work.close()),
        }
    }

    /// Whether the session ends with what runs.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Borrows a thread for the session's connection.
    fn on_thread(&self, act: impl FnOnce(&dyn Unattended) + Send + 'static) {
        let Some(work) = self.work.get().and_then(Weak::upgrade) else { return };
        if let Err(error) = self.threads.run(move || act(&*work)) {
            tracing::error!(%error, "no thread could be started to end what a session has open");
        }
    }
}
