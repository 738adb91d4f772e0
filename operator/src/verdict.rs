//! The one reason that a Tenant or Branch shows, and the state that goes with it: pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use roost_crds::{
    ConditionType, OperatingMode, Reason, ServingState, WakeFailure, conditions::Serves, reasons::Truth,
};

use crate::{class::resolve::Resolved, fault::Fault, serving::Serving, wake_failure};

/// What was said before, of which some outlives the replica that found it.
pub struct Before<'a> {
    /// Conditions.
    pub conditions: &'a [Condition],
    /// What the last wake failed with.
    pub wake_failure: Option<&'a WakeFailure>,
    /// Whether anything was ever published: then a failed restore is over.
    pub published: bool,
}

/// What keeps a spec from being realised, in the order in which it counts.
pub struct Ladder<'a> {
    /// While it is being deleted: what that waits for.
    pub deleting: Option<&'static str>,
    /// What it belongs to is not there.
    pub owner: Option<&'a Fault>,
    /// Its class.
    pub class: &'a Resolved,
    /// What a step failed with just now.
    pub acted: Option<&'a Fault>,
    /// Why its data is not made yet; none once it is.
    pub unmade: Option<Fault>,
    /// Whether it may run.
    pub mode: OperatingMode,
    /// What went wrong with its inputs or its pods lately.
    pub trouble: Option<Fault>,
    /// What was said before.
    pub before: Before<'a>,
    /// Its pod.
    pub serving: &'a Serving,
    /// Generation of its spec.
    pub generation: i64,
}

impl Ladder<'_> {
    /// The first rung that holds; else what the pod does.
    pub fn verdict(&self, now: Timestamp) -> Fault {
        if let Some(waits_for) = self.deleting {
            let deleting = || Fault::new(Reason::Deleting, format!("waits for {waits_for}, then deletes"));
            return self.acted.cloned().unwrap_or_else(deleting);
        }
        if let Some(fault) = self.owner {
            return fault.clone();
        }
        if self.class.class.is_none() {
            let waits = || Fault::new(Reason::ClassNotFound, "waits for a class");
            return self.class.fault.clone().unwrap_or_else(waits);
        }
        let found = self.acted.or(self.unmade.as_ref()).or(self.class.fault.as_ref());
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
        self.trouble
            .clone()
            .or_else(kept)
            .or_else(|| wake_failure::standing(failure, state, self.generation, now))
    }

    /// What pods end with, that no other object tells.
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
