//! Admission: requests, connections and jobs are let in, and known while they are under way, until draining lets nobody
//! in any more.

use roost_engine::SessionHandle;
use roost_protocol::problem::{ErrorCode, Problem};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// Kind of activity with the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// One request, until its last byte was taken.
    Request,
    /// A connection that may carry requests: while it carries none, the tenant may be put to sleep.
    Connection,
    /// Work that goes on without anybody who waits for it.
    Job,
}

impl Activity {
    /// Whether the tenant stays awake, and draining waits, for it.
    const fn keeps_awake(self) -> bool {
        !matches!(self, Self::Connection)
    }
}

/// An activity under way.
#[derive(Clone)]
pub struct Admitted {
    /// Its kind.
    pub activity: Activity,
    /// Name of the user who does it.
    pub user: String,
    /// Monotonic time when it was admitted.
    pub since: Duration,
    /// Its session, once it has one.
    pub session: Option<SessionHandle>,
    /// The session is its caller's, and goes on when this has ended.
    kept: bool,
    /// It was cancelled before it had a session.
    cancelled: bool,
    /// Nobody waits for it any more, and its session has not ended: its id is in use.
    left: bool,
}

struct Admissible {
    /// Why nobody is let in any more; none while everybody is.
    closed: Option<Problem>,
    /// Sessions are ended, also those that begin later.
    drained: bool,
    /// By id: the one place that knows which are in use.
    admitted: HashMap<Uuid, Admitted>,
    last_received: Duration,
}

impl Admissible {
    /// Why an activity that has begun nothing yet may not: it was cancelled, or all were ended.
    fn stopped(&self, id: Uuid) -> Option<Problem> {
        let cancelled = self.admitted.get(&id).is_some_and(|admitted| admitted.cancelled);
        let detail = "the query was cancelled; nothing was executed";
        let cancelled = cancelled.then(|| Problem::new(ErrorCode::Cancelled, detail));
        cancelled.or_else(|| self.closed.clone().filter(|_| self.drained))
    }

    fn awake(&self) -> usize {
        self.admitted.values().filter(|admitted| admitted.activity.keeps_awake() && !admitted.left).count()
    }
}

/// Admission to the tenant, and the activities under way.
pub struct Admission {
    state: Mutex<Admissible>,
    left: Notify,
}

impl Admission {
    /// Lets everybody in; `now` is monotonic time, and counts as the moment when something was last received.
    pub fn new(now: Duration) -> Self {
        let state = Admissible { closed: None, admitted: HashMap::new(), drained: false, last_received: now };
        Self { state: Mutex::new(state), left: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, Admissible> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an activity in. It stays in until its ticket is dropped.
    /// Errors: `draining`, `query-id-in-use`, `fenced`, `engine-failed`, `storage-unreachable`, `data-corrupted`,
    /// `not-serving`, `internal`.
    pub fn admit(
        self: &Arc<Self>,
        id: Uuid,
        activity: Activity,
        user: &str,
        now: Duration,
    ) -> Result<Ticket, Problem> {
        let mut state = self.state();
        if let Some(problem) = &state.closed {
            return Err(problem.clone());
        }
        state.last_received = now;
        if state.admitted.contains_key(&id) {
            let detail = format!("a query with the id {id} runs already; nothing was executed");
            return Err(Problem::new(ErrorCode::QueryIdInUse, detail));
        }
        let admitted = Admitted {
            activity,
            user: user.into(),
            since: now,
            session: None,
            kept: false,
            cancelled: false,
            left: false,
        };
        state.admitted.insert(id, admitted);
        Ok(Ticket { admission: Arc::clone(self), id })
    }

    /// The activity under way with this id, if there is one.
    pub fn find(&self, id: Uuid) -> Option<Admitted> {
        self.state().admitted.get(&id).cloned()
    }

    /// Cancels what runs under this id, also if it is about to.
    pub fn cancel(&self, id: Uuid) {
        if let Some(admitted) = self.state().admitted.get_mut(&id) {
            match &admitted.session {
                Some(session) => session.cancel(),
                None => admitted.cancelled = true,
            }
        }
    }

    /// Requests and jobs under way.
    pub fn running(&self) -> usize {
        self.state().awake()
    }

    /// When something was last received, monotonic.
    pub fn last_received(&self) -> Duration {
        self.state().last_received
    }

    /// A sign of life that is no query: a question about one.
    pub fn touch(&self, now: Duration) {
        self.state().last_received = now;
    }

    /// Lets nobody in any more; later calls change nothing.
    pub fn close(&self, problem: Problem) {
        self.state().closed.get_or_insert(problem);
    }

    /// The same if nothing keeps the tenant awake and nothing was received for `timeout`; the check and the closing are
    /// one.
    pub fn close_if_idle(&self, now: Duration, timeout: Duration, problem: impl FnOnce() -> Problem) -> bool {
        let mut state = self.state();
        let idle = state.awake() == 0 && now.saturating_sub(state.last_received) >= timeout;
        if idle && state.closed.is_none() {
            state.closed = Some(problem());
        }
        idle
    }

    /// Waits until no request and no job is under way.
    pub async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.running() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Ends the sessions of all that is under way, because the tenant is about to sleep. Returns how many requests and
    /// jobs there are.
    pub fn drain(&self) -> usize {
        let mut state = self.state();
        state.drained = true;
        for session in state.admitted.values().filter_map(|admitted| admitted.session.as_ref()) {
            session.drain();
        }
        state.awake()
    }
}

/// An activity that was let in.
pub struct Ticket {
    admission: Arc<Admission>,
    id: Uuid,
}

impl Ticket {
    /// Says which session it has; fails if it was cancelled before, or all were ended.
    /// Errors: `cancelled`, `draining`.
    pub fn has_session(&self, session: SessionHandle) -> Result<(), Problem> {
        self.is_in(session, false)
    }

    /// Says in which session of its caller's it runs; the session goes on when it has ended.
    /// Errors: `cancelled`, `draining`.
    pub fn runs_in(&self, session: SessionHandle) -> Result<(), Problem> {
        self.is_in(session, true)
    }

    fn is_in(&self, session: SessionHandle, kept: bool) -> Result<(), Problem> {
        let mut state = self.admission.state();
        if let Some(admitted) = state.admitted.get_mut(&self.id) {
            (admitted.session, admitted.kept) = (Some(session), kept);
        }
        state.stopped(self.id).map_or(Ok(()), Err)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        let in_use = state.admitted.get_mut(&self.id).and_then(|admitted| {
            let ended = |session: &SessionHandle| session.is_closed() || admitted.kept && session.is_idle();
            let session = admitted.session.clone().filter(|session| !ended(session))?;
            admitted.left = true;
            Some((session, admitted.kept))
        });
        let (admission, id) = (Arc::clone(&self.admission), self.id);
        let free = move || drop(admission.state().admitted.remove(&id));
        match in_use {
            Some((session, true)) => session.when_idle(free),
            Some((session, false)) => session.when_closed(free),
            None => drop(state.admitted.remove(&self.id)),
        }
        drop(state);
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
        let ticket = admission.admit(Uuid::from_u128(1), Activity::Request, "ann", SECOND).unwrap();
        assert_eq!(admission.find(Uuid::from_u128(1)).unwrap().user, "ann");
        assert!(!admission.close_if_idle(SECOND * 100, SECOND * 10, draining));
        drop(ticket);
        assert!(!admission.close_if_idle(SECOND * 10, SECOND * 10, draining), "received 9 seconds ago");
        assert!(admission.close_if_idle(SECOND * 11, SECOND * 10, draining));
        let refused =
            admission.admit(Uuid::from_u128(2), Activity::Request, "ann", SECOND * 12).err().unwrap();
        assert_eq!(refused.code, ErrorCode::Draining);
    }

    #[test]
    fn an_id_runs_once() {
        let admission = Arc::new(Admission::new(Duration::ZERO));
        let _ticket = admission.admit(Uuid::from_u128(1), Activity::Request, "ann", SECOND).unwrap();
        let refused = admission.admit(Uuid::from_u128(1), Activity::Request, "bob", SECOND).err().unwrap();
        assert_eq!(refused.code, ErrorCode::QueryIdInUse);
        assert_eq!(admission.find(Uuid::from_u128(1)).unwrap().user, "ann");
    }

    #[test]
    fn what_was_let_in_begins_nothing_once_all_were_ended() {
        let admission = Arc::new(Admission::new(Duration::ZERO));
        let _ticket = admission.admit(Uuid::from_u128(1), Activity::Request, "ann", SECOND).unwrap();
        let stopped = || admission.state().stopped(Uuid::from_u128(1)).map(|problem| problem.code);
        admission.close(draining());
        assert_eq!(stopped(), None, "draining waits for it");
        assert_eq!(admission.drain(), 1);
        assert_eq!(stopped(), Some(ErrorCode::Draining));
        admission.cancel(Uuid::from_u128(1));
        assert_eq!(stopped(), Some(ErrorCode::Cancelled));
    }

    #[test]
    fn ids_are_free_again() {
        let admission = Arc::new(Admission::new(Duration::ZERO));
        for _ in 0..3 {
            drop(admission.admit(Uuid::from_u128(1), Activity::Request, "ann", SECOND).unwrap());
            assert!(admission.find(Uuid::from_u128(1)).is_none());
        }
    }

    #[test]
    fn a_job_keeps_its_tenant_awake_and_an_idle_connection_does_not() {
        for (activity, sleeps) in
            [(Activity::Request, false), (Activity::Connection, true), (Activity::Job, false)]
        {
            let admission = Arc::new(Admission::new(Duration::ZERO));
            let _ticket = admission.admit(Uuid::from_u128(1), activity, "ann", SECOND).unwrap();
            assert_eq!(admission.running(), usize::from(!sleeps), "{activity:?}");
            assert_eq!(admission.close_if_idle(SECOND * 100, SECOND * 10, draining), sleeps, "{activity:?}");
        }
    }

    #[tokio::test]
    async fn waiting_for_emptiness_ends_with_the_last_ticket() {
        let admission = Arc::new(Admission::new(Duration::ZERO));
        let ticket = admission.admit(Uuid::from_u128(1), Activity::Request, "ann", SECOND).unwrap();
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
