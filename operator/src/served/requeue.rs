//! Pauses after which an object that is served is looked at again.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use roost_crds::{
    ConditionType, Reason, ServingState,
    conditions::{holds, reason_of},
};

use crate::reconcile::Requeue;

/// Pause between looks at a tenant with a pod: its size, activity and lag are shown.
const SERVING_LOOK: Duration = Duration::from_mins(1);
/// Pause between looks at something that moves, besides the watch.
const MOVING_LOOK: Duration = Duration::from_secs(2);
/// Pause between looks for inputs that nobody watches (a ConfigMap, the right to read it): somebody has just been told
/// the command that provides them.
const INPUTS_LOOK: Duration = Duration::from_secs(15);
/// Pause between looks at a pod that cannot publish, and at a tenant that found no place: both bad_ends end by
/// themselves.
const PASSING_LOOK: Duration = Duration::from_secs(15);
/// Pause between looks at what a person must fix.
const STALLED_LOOK: Duration = Duration::from_mins(5);

/// When an object that serves is looked at again.
pub fn look_again(conditions: &[Condition], state: Option<ServingState>) -> Requeue {
    let reason = reason_of(conditions, ConditionType::Ready).and_then(Reason::named);
    match (reason, state) {
        (Some(Reason::InputsNotFound | Reason::InputsNotPermitted), _) => Requeue::After(INPUTS_LOOK),
        (Some(Reason::PublishFailing | Reason::CeilingReached), _) => Requeue::After(PASSING_LOOK),
        (Some(Reason::Deleting), _) | (_, Some(ServingState::Waking | ServingState::Draining)) => {
            Requeue::After(MOVING_LOOK)
        }
        (_, Some(ServingState::Serving)) => Requeue::After(SERVING_LOOK),
        // The next query tries again; nothing here would.
        (Some(Reason::WakeFailed), _) => Requeue::OnChange,
        _ if holds(conditions, ConditionType::Stalled) => Requeue::After(STALLED_LOOK),
        _ if holds(conditions, ConditionType::Reconciling) => Requeue::Backoff,
        _ => Requeue::OnChange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
    use roost_crds::conditions::{Serves, report};

    #[test]
    fn what_is_awaited_decides_when_it_is_looked_at_again() {
        let table = [
            (Reason::InputsNotPermitted, ServingState::Failed, Requeue::After(INPUTS_LOOK)),
            (Reason::InputsNotFound, ServingState::Idle, Requeue::After(INPUTS_LOOK)),
            (Reason::DataOwnedElsewhere, ServingState::Failed, Requeue::After(STALLED_LOOK)),
            (Reason::Deleting, ServingState::Idle, Requeue::After(MOVING_LOOK)),
            (Reason::Waking, ServingState::Waking, Requeue::After(MOVING_LOOK)),
            (Reason::Serving, ServingState::Serving, Requeue::After(SERVING_LOOK)),
            (Reason::PublishFailing, ServingState::Serving, Requeue::After(PASSING_LOOK)),
            (Reason::CeilingReached, ServingState::Idle, Requeue::After(PASSING_LOOK)),
            (Reason::WakeFailed, ServingState::Idle, Requeue::OnChange),
            (Reason::Idle, ServingState::Idle, Requeue::OnChange),
        ];
        for (reason, state, wanted) in table {
            let conditions = report(&[], Serves::Connections, reason, "why", 1, &Time(Timestamp::UNIX_EPOCH));
            assert_eq!(look_again(&conditions, Some(state)), wanted, "{reason}");
        }
    }
}
