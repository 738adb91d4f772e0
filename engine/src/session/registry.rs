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
        for control in self.those(|control| control.sees_state_before(moment)) {
            if own.is_none_or(|own| !Arc::ptr_eq(own, &control)) {
                control.stop(StopCause::OldSnapshot);
            }
        }
    }

    /// Whether a transaction other than `own` sees a state from before `moment`.
    pub fn any_older_than(&self, moment: Instant, own: &Arc<Control>) -> bool {
        let known = self.known();
        known
            .by_number
            .values()
            .any(|control| !Arc::ptr_eq(own, control) && control.sees_state_before(moment))
    }

    fn those(&self, wanted: impl Fn(&Control) -> bool) -> Vec<Arc<Control>> {
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
