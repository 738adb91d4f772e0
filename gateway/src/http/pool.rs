//! Connections to runtime pods that wait for their next request, or for the pod's end.

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
/// How long a connection is used again. Short, so that the runtime, which closes one that was idle for minutes, does
/// not do so just when a request is written to it.
pub const USED_AGAIN: Duration = Duration::from_secs(10);
/// How long one connection to each pod is kept after that, as the witness that the pod is there; less than the runtime's
/// limit, since its closing a connection is taken for its leaving.
pub const WITNESS_LIFETIME: Duration = Duration::from_secs(45);
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
                pods.get_mut(key)?.pop_if(|last| last.since.elapsed() < USED_AGAIN)?
            };
            if matches!(timeout(READY_WITHIN, idle.connection.sender.ready()).await, Ok(Ok(()))) {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection whose answer has ended; where there is no room, in place of the one that was idle longest.
    pub fn put(&self, key: &PodKey, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut pods = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if pods.values().map(Vec::len).sum::<usize>() >= MAX_IDLE {
            drop_oldest(&mut pods);
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
            idle.retain(|one| !one.connection.sender.is_closed());
            let witness = idle.pop_if(|last| last.since.elapsed() < WITNESS_LIFETIME);
            idle.retain(|one| one.since.elapsed() < USED_AGAIN);
            idle.extend(witness);
            !idle.is_empty()
        });
    }
}

/// Makes room. Each pod's connections are in the order in which they became idle.
fn drop_oldest(pods: &mut HashMap<PodKey, Vec<Idle>>) {
    let oldest = pods.iter().filter_map(|(key, idle)| Some((idle.first()?.since, key)));
    let Some(key) = oldest.min_by_key(|(since, _)| *since).map(|(_, key)| key.clone()) else { return };
    if let Some(idle) = pods.get_mut(&key) {
        idle.remove(0);
        if idle.is_empty() {
            pods.remove(&key);
        }
    }
}
