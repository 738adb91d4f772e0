//! The one table between public errors and reasons.

use roost_crds::Reason;
use roost_protocol::problem::ErrorCode;

/// The one who tells people the reason of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Teller {
    /// The pod, in its last words: the reason holds by itself, however often it happened.
    Pod(Reason),
    /// The replica that wakes, in `status.wakeFailure`.
    Wake(Reason),
    /// Nobody: it is of the caller or of the moment, or the spec says so already.
    Nobody,
}

/// The table. Every public error has a row, so that whoever adds one decides what people are told.
const fn teller(code: ErrorCode) -> Teller {
    match code {
        ErrorCode::InitScriptFailed => Teller::Pod(Reason::RestoreFailed),
        ErrorCode::ReplayFailed => Teller::Pod(Reason::ReplayFailed),
        ErrorCode::DataCorrupted => Teller::Pod(Reason::DataCorrupt),
        ErrorCode::EngineTooOld => Teller::Pod(Reason::EngineTooOld),
        ErrorCode::DataMissing => Teller::Pod(Reason::DataMissing),
        ErrorCode::DataOwnedElsewhere => Teller::Pod(Reason::DataOwnedElsewhere),
        ErrorCode::StorageDenied => Teller::Pod(Reason::StorageDenied),
        ErrorCode::StorageUnreachable => Teller::Pod(Reason::StorageUnreachable),
        ErrorCode::ConditionalWritesUnsupported => Teller::Pod(Reason::ConditionalWritesUnsupported),

        ErrorCode::KeyUnavailable => Teller::Wake(Reason::EncryptionKeyInvalid),
        ErrorCode::CapacityReached => Teller::Wake(Reason::CeilingReached),
        ErrorCode::WakeTimeout | ErrorCode::EngineFailed | ErrorCode::Internal | ErrorCode::NotSealed => {
            Teller::Wake(Reason::WakeFailed)
        }

        ErrorCode::BadRequest
        | ErrorCode::QueryFailed
        | ErrorCode::InvalidSql
        | ErrorCode::StatementNotAllowed
        | ErrorCode::ReadOnly
        | ErrorCode::OutOfMemory
        | ErrorCode::StatementTimeout
        | ErrorCode::Cancelled
        | ErrorCode::TransactionLeftOpen
        | ErrorCode::TransactionConflict
        | ErrorCode::WritesPaused
        | ErrorCode::Unauthenticated
        | ErrorCode::Forbidden
        | ErrorCode::AccessUnknown
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::NotAcceptable
        | ErrorCode::TooLarge
        | ErrorCode::TooManyStatements
        | ErrorCode::QueryIdInUse
        | ErrorCode::Suspended
        | ErrorCode::Draining
        | ErrorCode::NotServing
        | ErrorCode::AlreadyGranted
        | ErrorCode::Fenced
        | ErrorCode::Busy
        | ErrorCode::TenantNotReady
        | ErrorCode::OutcomeUnknown => Teller::Nobody,
    }
}

/// The reason that a failure has in conditions, whoever tells it.
pub(super) const fn reason(code: ErrorCode) -> Option<Reason> {
    match teller(code) {
        Teller::Pod(reason) | Teller::Wake(reason) => Some(reason),
        Teller::Nobody => None,
    }
}

/// The reason that a pod's end has by itself.
pub(super) const fn of_pod(code: ErrorCode) -> Option<Reason> {
    match teller(code) {
        Teller::Pod(reason) => Some(reason),
        Teller::Wake(_) | Teller::Nobody => None,
    }
}

/// The reason that a failed wake has in `status.wakeFailure`, if it is kept there.
pub(super) const fn of_wake(code: ErrorCode) -> Option<Reason> {
    match teller(code) {
        Teller::Wake(reason) => Some(reason),
        Teller::Pod(_) | Teller::Nobody => None,
    }
}

/// The public error that a client is told for a reason: the only one that has it in the table, or that the tenant is not
/// ready, if several have it or none.
pub fn code(of: Reason) -> ErrorCode {
    let mut codes = ErrorCode::ALL.iter().copied().filter(|code| reason(*code) == Some(of));
    match (codes.next(), codes.next()) {
        (Some(code), None) => code,
        _ => ErrorCode::TenantNotReady,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_and_its_public_error_never_disagree() {
        for code in ErrorCode::ALL {
            let Some(reason) = reason(*code) else { continue };
            let back = super::code(reason);
            assert!(back == *code || reason == Reason::WakeFailed, "{code:?} is {reason}, which is {back:?}");
        }
    }

    #[test]
    fn what_clients_are_told_of_each_reason() {
        let own = [
            (Reason::CeilingReached, ErrorCode::CapacityReached),
            (Reason::StorageUnreachable, ErrorCode::StorageUnreachable),
            (Reason::EncryptionKeyInvalid, ErrorCode::KeyUnavailable),
            (Reason::StorageDenied, ErrorCode::StorageDenied),
            (Reason::ConditionalWritesUnsupported, ErrorCode::ConditionalWritesUnsupported),
            (Reason::DataOwnedElsewhere, ErrorCode::DataOwnedElsewhere),
            (Reason::DataMissing, ErrorCode::DataMissing),
            (Reason::DataCorrupt, ErrorCode::DataCorrupted),
            (Reason::EngineTooOld, ErrorCode::EngineTooOld),
            (Reason::ReplayFailed, ErrorCode::ReplayFailed),
            (Reason::RestoreFailed, ErrorCode::InitScriptFailed),
        ];
        for reason in Reason::ALL {
            let own = own.iter().find(|(owner, _)| owner == reason).map(|(_, code)| *code);
            assert_eq!(code(*reason), own.unwrap_or(ErrorCode::TenantNotReady), "{reason}");
        }
    }
}
