//! Who is let in: requests that run, and the door that draining closes before anything of a request is executed.

use roost_protocol::problem::{ErrorCode, Problem};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// What is known of a request that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Who sent it.
    pub user: String,
    /// Monotonic time when it was admitted.
    pub since: Duration,
}

#[derive(Debug)]
struct Door {
    /// Why nobody is let in; none while the door is open.
    closed: Option<Problem>,
    running: HashMap<Uuid, Admitted>,
    last_received: Duration,
}

/// The door.
#[derive(Debug)]
pub struct Admission {
    door: Mutex<Door>,
    left: Notify,
}

impl Admission {
    /// An open door; `now` is monotonic time, and counts as the moment when something was last received.
    pub fn new(now: Duration) -> Self {
        let door = Door { closed: None, running: HashMap::new(), last_received: now };
        Self { door: Mutex::new(door), left: Notify::new() }
    }

    fn door(&self) -> std::sync::MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request in. It stays in until its ticket is dropped.
    pub fn admit(self: &Arc<Self>, id: Uuid, user: &str, now: Duration) -> Result<Ticket, Problem> {
        let mut door = self.door();
        if let Some(problem) = &door.closed {
            return Err(problem.clone());
        }
        door.last_received = now;
        if door.running.contains_key(&id) {
            let detail = format!("a query with the id {id} runs already; nothing was executed");
            return Err(Problem::new(ErrorCode::QueryIdInUse, detail));
        }
        door.running.insert(id, Admitted { user: user.into(), since: now });
        Ok(Ticket { admission: Arc::clone(self), id })
    }

    /// What is known of a running request.
    pub fn find(&self, id: Uuid) -> Option<Admitted> {
        self.door().running.get(&id).cloned()
    }

    /// Requests that run.
    pub fn running(&self) -> usize {
        self.door().running.len()
    }

    /// When something was last received, monotonic.
    pub fn last_received(&self) -> Duration {
        self.door().last_received
    }

    /// A sign of life that is no query: a question about one.
    pub fn touch(&self, now: Duration) {
        self.door().last_received = now;
    }

    /// Closes the door for good; later calls change nothing.
    pub fn close(&self, problem: Problem) {
        self.door().closed.get_or_insert(problem);
    }

    /// Closes the door if nothing runs and nothing was received for `timeout`; the check and the closing are one.
    pub fn close_if_idle(&self, now: Duration, timeout: Duration, problem: impl FnOnce() -> Problem) -> bool {
        let mut door = self.door();
        let idle = door.running.is_empty() && now.saturating_sub(door.last_received) >= timeout;
        if idle && door.closed.is_none() {
            door.closed = Some(problem());
        }
        idle
    }

    /// Waits until nothing runs.
    pub async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.running() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Ids of what runs.
    pub fn ids(&self) -> Vec<Uuid> {
        self.door().running.keys().copied().collect()
    }
}

/// A request that was let in.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    id: Uuid,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.door().running.remove(&self.id);
        self.admission.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn draining() -> Problem {
        Problem::new(ErrorCode::Draining, "test")
    }

    #[test]
    fn a_running_request_keeps_the_door_open() {
        let admission = Arc::new(Admission::new(Duration::ZERO));
        let ticket = admission.admit(Uuid::from_u128(1), "ann", SECOND).unwrap();
        assert_eq!(admission.find(Uuid::from_u128(1)).unwrap().user, "ann");
        assert!(!admission.close_if_idle(SECOND * 100, SECOND * 10, draining));
        drop(ticket);
        assert!(!admission.close_if_idle(SECOND * 10, SECOND * 10, draining), "received 9 seconds ago");
        assert!(admission.close_if_idle(SECOND * 11, SECOND * 10, draining));
        let refused = admission.admit(Uuid::from_u128(2), "ann", SECOND * 12).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Draining);
    }

    #[test]
    fn an_id_runs_once() {
        let admission = Arc::new(Admission::new(Duration::ZERO));
        let _ticket = admission.admit(Uuid::from_u128(1), "ann", SECOND).unwrap();
        let refused = admission.admit(Uuid::from_u128(1), "bob", SECOND).unwrap_err();
        assert_eq!(refused.code, ErrorCode::QueryIdInUse);
        assert_eq!(admission.find(Uuid::from_u128(1)).unwrap().user, "ann");
    }

    #[tokio::test]
    async fn waiting_for_emptiness_ends_with_the_last_ticket() {
        let admission = Arc::new(Admission::new(Duration::ZERO));
        let ticket = admission.admit(Uuid::from_u128(1), "ann", SECOND).unwrap();
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.empty().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(ticket);
        waiting.await.unwrap();
    }
}
