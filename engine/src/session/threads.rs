//! Threads of sessions. One whose session ended waits for the next one: starting a thread, and warming what its allocator
//! keeps for it, takes as long as a small query.
use crate::config::MAX_IDLE_THREADS;
use std::io;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Session = Box<dyn FnOnce() + Send>;

/// Threads that have nothing to do; they end with the last clone of this.
#[derive(Clone, Default)]
pub(crate) struct SessionThreads {
    idle: Arc<Idle>,
}

type Idle = Mutex<Vec<SyncSender<Session>>>;

impl SessionThreads {
    /// Runs a session on a thread that runs nothing else meanwhile. Fails if none can be started.
    pub fn run(&self, session: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let session: Session = Box::new(session);
        // The one that became idle last: what it worked with is still in the caches.
        let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = match waiting {
            None => session,
            Some(thread) => match thread.send(session) {
                Ok(()) => return Ok(()),
                Err(mpsc::SendError(session)) => session,
            },
        };
        let idle = Arc::downgrade(&self.idle);
        std::thread::Builder::new().name("session".into()).spawn(move || serve(session, &idle)).map(drop)
    }
}

/// Runs one session after the other until nobody wants this thread any more.
fn serve(first: Session, idle: &Weak<Idle>) {
    let mut session = first;
    loop {
        session();
        let Some(next) = wait_among(idle) else { return };
        let Ok(given) = next.recv() else { return };
        session = given;
    }
}

/// Where the next session comes, if there is room among those who wait.
fn wait_among(idle: &Weak<Idle>) -> Option<mpsc::Receiver<Session>> {
    let idle = idle.upgrade()?;
    let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
    if idle.len() == MAX_IDLE_THREADS {
        return None;
    }
    let (thread, next) = mpsc::sync_channel(1);
    idle.push(thread);
    Some(next)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
    use super::*;
    use std::cell::RefCell;
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
    use std::thread::{ThreadId, current};
    use std::time::{Duration, Instant};

    const DEADLINE: Duration = Duration::from_secs(30);

    /// Runs sessions that begin together, and returns their threads.
    fn at_once(threads: &SessionThreads, count: usize) -> HashSet<ThreadId> {
        let (told, tells) = channel();
        let together = Arc::new(Barrier::new(count));
        for _ in 0..count {
            let (told, together) = (told.clone(), Arc::clone(&together));
            let session = move || {
                together.wait();
                told.send(current().id()).unwrap();
            };
            threads.run(session).unwrap();
        }
        drop(told);
        tells.iter().collect()
    }

    fn until_idle(threads: &SessionThreads, count: usize) {
        let begun = Instant::now();
        while threads.idle.lock().unwrap().len() != count {
            assert!(begun.elapsed() < DEADLINE, "{count} threads are never idle");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_thread_serves_one_session_after_the_other() {
        let threads = SessionThreads::default();
        let first = at_once(&threads, 1);
        for _ in 0..10 {
            until_idle(&threads, 1);
            assert_eq!(at_once(&threads, 1), first);
        }
    }

    #[test]
    fn sessions_at_once_have_a_thread_each_and_few_of_them_wait_afterwards() {
        let threads = SessionThreads::default();
        assert_eq!(at_once(&threads, MAX_IDLE_THREADS + 3).len(), MAX_IDLE_THREADS + 3);
        until_idle(&threads, MAX_IDLE_THREADS);
    }

    #[test]
    fn a_thread_whose_session_panicked_serves_no_other() {
        let threads = SessionThreads::default();
        let (told, tells) = channel();
        let session = move || {
            told.send(current().id()).unwrap();
            panic!("a fault of ours");
        };
        threads.run(session).unwrap();
        let broken = tells.recv().unwrap();
        assert!(!at_once(&threads, 1).contains(&broken));
    }

    #[test]
    fn idle_threads_end_with_the_engine() {
        thread_local!(static ALIVE: RefCell<Option<Sender<()>>> = const { RefCell::new(None) });
        let threads = SessionThreads::default();
        let (alive, all_gone) = channel();
        threads.run(move || ALIVE.set(Some(alive))).unwrap();
        until_idle(&threads, 1);
        drop(threads);
        assert_eq!(all_gone.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
    }
}
