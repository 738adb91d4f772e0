//! The one reason that a Tenant or Branch shows, and the state that goes with it: pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use roost_crds::{
    ConditionType, OperatingMode, Reason, ServingState, WakeFailure, conditions::Serves, reasons::Truth,
};

use super::{Fault, wake_failure};
use crate::pods::Serving;

/// A status before, of which some outlives the replica that found it.
pub struct Before<'a> {
    /// Conditions.
    pub conditions: &'a [Condition],
    /// The failure of the last wake.
    pub wake_failure: Option<&'a WakeFailure>,
    /// Whether anything was ever published: then a failed restore is over.
    pub published: bool,
}

/// The obstacles that keep a spec from being realised, in the order in which they count.
pub struct Obstacles<'a> {
    /// The things that its deletion waits for, while it is being deleted.
    pub deleting: Option<&'static str>,
    /// Why the object that it belongs to is not there.
    pub owner: Option<&'a Fault>,
    /// Whether there is a class to act by.
    pub has_class: bool,
    /// Why the class that it asks for cannot be had.
    pub class: Option<&'a Fault>,
    /// The fault of a step just now.
    pub acted: Option<&'a Fault>,
    /// Why its data is not made yet; none once it is.
    pub unmade: Option<Fault>,
    /// Whether it may run.
    pub mode: OperatingMode,
    /// The fault of its inputs, or of its pods lately.
    pub bad_end: Option<Fault>,
    /// Its status before.
    pub before: Before<'a>,
    /// Its pod.
    pub serving: &'a Serving,
    /// Generation of its spec.
    pub generation: i64,
}

impl Obstacles<'_> {
    /// The first obstacle that there is; else the reason of the pod's state.
    pub fn verdict(&self, now: Timestamp) -> Fault {
        if let Some(waits_for) = self.deleting {
            let deleting = || Fault::new(Reason::Deleting, format!("waits for {waits_for}, then deletes"));
            return self.acted.cloned().unwrap_or_else(deleting);
        }
        if let Some(fault) = self.owner {
            return fault.clone();
        }
        if !self.has_class {
            let waits = || Fault::new(Reason::ClassNotFound, "waits for a class");
            return self.class.cloned().unwrap_or_else(waits);
        }
        let found = self.acted.or(self.unmade.as_ref()).or(self.class);
        if let Some(fault) = found {
            return fault.clone();
        }
        let may_fail = self.mode == OperatingMode::Running && self.serving.state() != ServingState::Serving;
        let failed = may_fail.then(|| self.failed(now)).flatten();
        failed.unwrap_or_else(|| {
            let (reason, message) = self.serving.reason(self.mode);
            Fault::new(reason, message)
        })
    }

    fn failed(&self, now: Timestamp) -> Option<Fault> {
        let (state, failure) = (self.serving.state(), self.before.wake_failure);
        let kept = || self.kept();
        self.bad_end
            .clone()
            .or_else(kept)
            .or_else(|| wake_failure::standing(failure, state, self.generation, now))
    }

    /// Reasons that pods end with, and no other object tells.
    const OUTLIVE: [Reason; 3] = [Reason::RestoreFailed, Reason::ReplayFailed, Reason::CrashLooping];

    /// A failure that another replica, elected before, saw: it holds until a pod serves or the spec changes.
    fn kept(&self) -> Option<Fault> {
        let ready = self.before.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str())?;
        let reason = Reason::named(&ready.reason).filter(|reason| Self::OUTLIVE.contains(reason))?;
        let same_spec = ready.observed_generation == Some(self.generation);
        // What a script failed at is over once something was published; a pod on its way is no proof yet.
        let over = reason == Reason::RestoreFailed && self.before.published;
        (same_spec && !over).then(|| Fault::new(reason, ready.message.clone()))
    }

    /// Whether anybody could connect, as far as that does not depend on the verdict.
    pub fn serves(&self) -> Serves {
        let closed = self.unmade.is_some() || self.mode == OperatingMode::Suspended;
        if closed { Serves::NoConnections } else { Serves::Connections }
    }

    /// The state that goes with a verdict.
    pub fn state(&self, verdict: &Fault) -> ServingState {
        if self.deleting.is_some() {
            return ServingState::Deleting;
        }
        let row = verdict.reason.row();
        match self.serving.shown_state(self.mode) {
            // A pod is a fact whatever else is said.
            state @ (ServingState::Serving | ServingState::Draining | ServingState::Waking) => state,
            _ if row.stalled && row.available == Truth::False => ServingState::Failed,
            _ if self.unmade.is_some() => ServingState::Pending,
            state => state,
        }
    }
}
