//! Connections to runtime pods that wait for their next request.

use super::connection::Connection;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// Most connections kept for one pod.
const MAX_IDLE_PER_POD: usize = 32;
/// Most connections kept in all.
const MAX_IDLE: usize = 2048;
/// How long a connection is kept. Short, so that the runtime does not close it just when a request is written to it.
pub const IDLE_LIFETIME: Duration = Duration::from_secs(10);
/// How long a connection may take to become ready after its last answer ended.
const READY_WITHIN: Duration = Duration::from_millis(50);

/// Which connections are alike: the same pod, verified under the same keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodKey {
    /// UID of the pod.
    pub pod_uid: String,
    /// [`crate::keys::Keys::generation`].
    pub generation: u64,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// The idle connections.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<HashMap<PodKey, Vec<Idle>>>,
}

impl Pool {
    /// The connection that was used last, if one is usable.
    pub async fn take(&self, key: &PodKey) -> Option<Connection> {
        loop {
            let mut idle = {
                let mut pods = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                pods.get_mut(key)?.pop()?
            };
            let young = idle.since.elapsed() < IDLE_LIFETIME;
            if young && matches!(timeout(READY_WITHIN, idle.connection.sender.ready()).await, Ok(Ok(()))) {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection whose answer has ended; drops it when there is no room.
    pub fn put(&self, key: &PodKey, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut pods = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if pods.values().map(Vec::len).sum::<usize>() >= MAX_IDLE {
            return;
        }
        let idle = pods.entry(key.clone()).or_default();
        if idle.len() < MAX_IDLE_PER_POD {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Drops the connections of a pod that is leaving.
    pub fn forget(&self, key: &PodKey) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Drops what has been idle too long; called now and then.
    pub fn sweep(&self) {
        let mut pods = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, idle| {
            idle.retain(|one| one.since.elapsed() < IDLE_LIFETIME && !one.connection.sender.is_closed());
            !idle.is_empty()
        });
    }
}
