//! Failed wakes as status shows them: which are kept, and how long they hold.
//!
//! Any replica wakes, one reconciles: the waking one writes `status.wakeFailure` and removes it after a success; the
//! reconciling one makes the reason of it. Failures with a reason of their own are told by the pod's last words.

use std::time::Duration;

use jiff::Timestamp;
use roost_crds::{Reason, ServingState, WakeFailure};
use roost_protocol::problem::Problem;

use super::{Fault, codes};

/// Time for which a wake that found no place says so when nobody asks again: as long as one waits by default. Nobody
/// tells a tenant that does not wait any more when a place is free.
const CEILING_HOLDS: Duration = Duration::from_mins(2);
/// The same failure is not written again within this time.
const WRITTEN_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Longest message kept, in characters: the schema's bound.
const MAX_MESSAGE: usize = 1024;

/// The record of a failed wake that is to be written; none if that is said already or is not for status.
pub fn record(
    before: Option<&WakeFailure>,
    problem: &Problem,
    generation: i64,
    now: Timestamp,
) -> Option<WakeFailure> {
    let reason = codes::of_wake(problem.code)?;
    let failure = WakeFailure {
        reason: reason.as_str().to_owned(),
        message: problem.detail.chars().take(MAX_MESSAGE).collect(),
        generation,
        time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now),
    };
    let said = before.is_some_and(|before| {
        let same = WakeFailure { time: before.time.clone(), ..failure.clone() };
        *before == same && age(before, now) < WRITTEN_AGAIN_AFTER
    });
    (!said).then_some(failure)
}

/// The fault that a recorded failure still is: a pod that serves, or another spec, ends it; a place that was not free, time
/// or a pod.
pub fn standing(
    failure: Option<&WakeFailure>,
    state: ServingState,
    generation: i64,
    now: Timestamp,
) -> Option<Fault> {
    let failure = failure.filter(|failure| failure.generation == generation)?;
    let reason = Reason::named(&failure.reason)?;
    let over = match reason {
        Reason::CeilingReached => state != ServingState::Idle || age(failure, now) >= CEILING_HOLDS,
        Reason::WakeFailed | Reason::EncryptionKeyInvalid => state == ServingState::Serving,
        _ => return None,
    };
    (!over).then(|| Fault::new(reason, failure.message.clone()))
}

fn age(failure: &WakeFailure, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(failure.time.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::problem::ErrorCode;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn failed(code: ErrorCode) -> Option<WakeFailure> {
        record(None, &Problem::new(code, "why"), 3, at(0))
    }

    #[test]
    fn failures_of_the_caller_or_with_a_reason_of_their_own_are_not_kept() {
        let table = [
            (ErrorCode::CapacityReached, Some("CeilingReached")),
            (ErrorCode::WakeTimeout, Some("WakeFailed")),
            (ErrorCode::EngineFailed, Some("WakeFailed")),
            (ErrorCode::Internal, Some("WakeFailed")),
            (ErrorCode::KeyUnavailable, Some("EncryptionKeyInvalid")),
            (ErrorCode::NotFound, None),
            (ErrorCode::Suspended, None),
            (ErrorCode::Busy, None),
            (ErrorCode::TenantNotReady, None),
            (ErrorCode::InitScriptFailed, None),
            (ErrorCode::DataCorrupted, None),
            (ErrorCode::EngineTooOld, None),
            (ErrorCode::ReplayFailed, None),
            (ErrorCode::StorageUnreachable, None),
        ];
        for (code, reason) in table {
            assert_eq!(failed(code).as_ref().map(|failure| failure.reason.as_str()), reason, "{code:?}");
        }
    }

    #[test]
    fn whatever_a_wake_writes_is_read_again() {
        for code in ErrorCode::ALL {
            let Some(failure) = failed(*code) else { continue };
            let read = standing(Some(&failure), ServingState::Idle, 3, at(1)).map(|fault| fault.reason);
            assert_eq!(read.map(Reason::as_str), Some(failure.reason.as_str()), "{code:?}");
        }
    }

    #[test]
    fn the_same_is_written_once_in_a_while() {
        let first = failed(ErrorCode::WakeTimeout);
        let again = |second, detail| {
            record(first.as_ref(), &Problem::new(ErrorCode::WakeTimeout, detail), 3, at(second))
        };
        assert_eq!(again(5, "why"), None);
        assert_eq!(again(5, "another reason").unwrap().message, "another reason");
        assert_eq!(again(30, "why").unwrap().time.0, at(30));
        let long = record(None, &Problem::new(ErrorCode::Internal, "x".repeat(5000)), 3, at(0)).unwrap();
        assert_eq!(long.message.len(), MAX_MESSAGE);
    }

    #[test]
    fn what_ends_a_failure() {
        use ServingState::{Draining, Idle, Serving, Waking};
        let (full, broken) = (failed(ErrorCode::CapacityReached), failed(ErrorCode::EngineFailed));
        let table = [
            (&full, Idle, 3, 1, Some(Reason::CeilingReached)),
            (&full, Idle, 3, 119, Some(Reason::CeilingReached)),
            (&full, Idle, 3, 120, None),
            (&full, Waking, 3, 1, None),
            (&full, Idle, 4, 1, None),
            (&broken, Idle, 3, 100_000, Some(Reason::WakeFailed)),
            (&broken, Waking, 3, 1, Some(Reason::WakeFailed)),
            (&broken, Draining, 3, 1, Some(Reason::WakeFailed)),
            (&broken, Serving, 3, 1, None),
            (&broken, Idle, 4, 1, None),
            (&None, Idle, 3, 1, None),
        ];
        for (failure, state, generation, second, reason) in table {
            let fault = standing(failure.as_ref(), state, generation, at(second));
            assert_eq!(fault.map(|fault| fault.reason), reason, "{failure:?} {state:?} {second}");
        }
    }
}
