//! A queue of keys: each at most once, never two workers on one, due at a time.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// First pause after a failure; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest pause after failures.
const MAX_BACKOFF: Duration = Duration::from_mins(5);

/// Names an object; the namespace is empty for cluster-scoped kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// A namespaced object.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// A cluster-scoped object, or one of a namespace that goes without saying.
    pub fn named(name: impl Into<String>) -> Self {
        Self::new("", name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    due: Option<Instant>,
    running: bool,
    failures: u32,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// Entries that are due and not running, in order.
    order: BTreeSet<(Instant, Key)>,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look at `key` now.
    pub fn push(&self, key: Key) {
        self.push_after(key, Duration::ZERO);
    }

    /// Asks for a look at `key` after a pause; an earlier request stands.
    pub fn push_after(&self, key: Key, pause: Duration) {
        self.state().schedule(key, Instant::now() + pause);
        self.changed.notify_one();
    }

    /// Counts the keys that wait or are looked at.
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether no key waits or is looked at.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next key, once one is due. It is not given out again before [`Queue::done`] or [`Queue::failed`].
    pub async fn next(&self) -> Key {
        loop {
            let wake = match self.state().pop(Instant::now()) {
                Ok(key) => return key,
                Err(at) => at,
            };
            let changed = self.changed.notified();
            match wake {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// A look ended well; `again` asks for the next one.
    pub fn done(&self, key: Key, again: Option<Duration>) {
        let mut state = self.state();
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.failures = 0;
        }
        state.finish(key, again.map(|pause| Instant::now() + pause));
        drop(state);
        self.changed.notify_one();
    }

    /// A look failed, or awaits something that nobody announces: again after a pause that grows.
    pub fn failed(&self, key: Key) {
        let mut state = self.state();
        let failures = state.entries.get_mut(&key).map_or(0, |entry| {
            entry.failures = entry.failures.saturating_add(1);
            entry.failures - 1
        });
        let pause = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(MAX_BACKOFF);
        state.finish(key, Some(Instant::now() + pause));
        drop(state);
        self.changed.notify_one();
    }
}

impl State {
    fn schedule(&mut self, key: Key, at: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(due) = entry.due.replace(at)
            && !entry.running
        {
            self.order.remove(&(due, key.clone()));
        }
        if !entry.running {
            self.order.insert((at, key));
        }
    }

    fn pop(&mut self, now: Instant) -> Result<Key, Option<Instant>> {
        let Some((at, _)) = self.order.first() else { return Err(None) };
        if *at > now {
            return Err(Some(*at));
        }
        let Some((_, key)) = self.order.pop_first() else { return Err(None) };
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.due = None;
            entry.running = true;
        }
        Ok(key)
    }

    fn finish(&mut self, key: Key, again: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.running = false;
        // What was asked for meanwhile stands beside what the look itself asks for; the earlier wins.
        let asked = entry.due.take();
        match asked.into_iter().chain(again).min() {
            Some(at) => self.schedule(key, at),
            None => {
                self.entries.remove(&key);
            }
        }
    }
}

/// One queue for each kind.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    /// Tenants.
    pub tenants: Arc<Queue>,
    /// Branches.
    pub branches: Arc<Queue>,
    /// Snapshots.
    pub snapshots: Arc<Queue>,
    /// TenantClasses.
    pub classes: Arc<Queue>,
    /// Runtime pods.
    pub pods: Arc<Queue>,
    /// Tenants that may have garbage.
    pub garbage: Arc<Queue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::named(name)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_once_and_the_earlier_time_wins() {
        let queue = Queue::default();
        queue.push_after(key("a"), Duration::from_mins(1));
        queue.push_after(key("a"), Duration::from_secs(5));
        queue.push_after(key("a"), Duration::from_secs(30));
        let start = Instant::now();
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        queue.done(key("a"), None);
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn never_two_workers_on_one_key_and_nothing_is_lost_meanwhile() {
        let queue = Queue::default();
        queue.push(key("a"));
        assert_eq!(queue.next().await, key("a"));
        queue.push(key("a"));
        queue.push(key("b"));
        assert_eq!(queue.next().await, key("b"));
        assert!(tokio::time::timeout(Duration::from_secs(1), queue.next()).await.is_err());
        queue.done(key("a"), Some(Duration::from_mins(10)));
        assert_eq!(tokio::time::timeout(Duration::from_secs(1), queue.next()).await.unwrap(), key("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_pause_longer_each_time_up_to_a_bound() {
        let queue = Queue::default();
        queue.push(key("a"));
        let mut pauses = Vec::new();
        for _ in 0..14 {
            let start = Instant::now();
            let next = queue.next().await;
            pauses.push(start.elapsed());
            queue.failed(next);
        }
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&MAX_BACKOFF));
        queue.push(key("a"));
        let start = Instant::now();
        let next = queue.next().await;
        assert_eq!(start.elapsed(), Duration::ZERO, "news is looked at at once");
        queue.done(next, None);
    }
}
