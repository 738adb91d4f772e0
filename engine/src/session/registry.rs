//! All sessions of an engine: made to stop together.
use super::control::Control;
use super::stop_cause::StopCause;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The sessions that have not ended.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Known>);

#[derive(Default)]
struct Known {
    next: u64,
    by_number: BTreeMap<u64, Arc<Control>>,
}

impl Sessions {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in.
    pub fn register(self: &Arc<Self>, control: &Arc<Control>) -> Registration {
        let mut known = self.known();
        let number = known.next;
        known.next += 1;
        known.by_number.insert(number, Arc::clone(control));
        Registration { sessions: Arc::clone(self), number }
    }

    /// Makes what runs in any of them stop, and every open transaction end.
    pub fn stop_all(&self, cause: StopCause) {
        for control in self.those(|_| true) {
            control.stop(cause);
        }
    }

    /// Ends all of them.
    pub fn close_all(&self, cause: StopCause) {
        for control in self.those(|_| true) {
            control.close(cause);
        }
    }

    /// Stops those whose transaction sees a state from before `moment`, but not `own`.
    pub fn stop_older_than(&self, moment: Instant, own: Option<&Arc<Control>>) {
        for control in self.older_than(moment, own) {
            control.stop(StopCause::OldSnapshot);
        }
    }

    /// Whether a transaction other than `own` sees a state from before `moment`.
    pub fn any_older_than(&self, moment: Instant, own: &Arc<Control>) -> bool {
        !self.older_than(moment, Some(own)).is_empty()
    }

    fn older_than(&self, moment: Instant, own: Option<&Arc<Control>>) -> Vec<Arc<Control>> {
        let is_own = |control: &Arc<Control>| own.is_some_and(|own| Arc::ptr_eq(own, control));
        self.those(|control| control.sees_state_before(moment) && !is_own(control))
    }

    fn those(&self, wanted: impl Fn(&Arc<Control>) -> bool) -> Vec<Arc<Control>> {
        self.known().by_number.values().filter(|control| wanted(control)).cloned().collect()
    }
}

/// Keeps a session in the list; dropping it takes the session out.
pub(crate) struct Registration {
    sessions: Arc<Sessions>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.sessions.known().by_number.remove(&self.number);
    }
}
