//! Failures of the bucket as conditions and clients are told them. The public error of a failure is the store's own; only
//! what conditions say more precisely is listed here.

use roost_crds::Reason;
use roost_protocol::problem::{ErrorCode, Problem};
use roost_store::{
    FolderError, ObjectError, ProbeError, PublicError as _, ReadError, TenantError, WriteError,
};

use super::{Fault, codes};
use crate::storage::{OpenError, StepError};

/// The reason of a public error of the store. Each has one, as the tests show; a new one is tried again.
fn by_code(code: ErrorCode) -> Reason {
    codes::reason(code).unwrap_or(Reason::StorageUnreachable)
}

fn object(error: &ObjectError) -> Reason {
    match error {
        ObjectError::NoSuchBucket { .. } => Reason::BucketNotFound,
        ObjectError::InvalidKey { .. } => Reason::InvalidSpec,
        error => by_code(error.code()),
    }
}

fn read(error: &ReadError) -> Reason {
    match error {
        ReadError::Object(error) => object(error),
        error => by_code(error.code()),
    }
}

fn write(error: &WriteError) -> Reason {
    match error {
        WriteError::Refused(error) => object(error),
        WriteError::Read(error) => read(error),
        error => by_code(error.code()),
    }
}

/// The fault that a step on a tenant's prefix failed with.
pub fn of_tenant(error: &TenantError) -> Fault {
    let reason = match error {
        TenantError::OwnedElsewhere { .. }
        | TenantError::OwnerUnknown { .. }
        | TenantError::DataMissing { .. }
        | TenantError::Key(_) => by_code(error.code()),
        TenantError::Read(error) => read(error),
        TenantError::Write(error) => write(error),
        // To a client the tenant is not ready. Whoever wrote the spec is told why.
        TenantError::BeingDeleted { .. } => Reason::Initializing,
        TenantError::RestoreUnfinished(_) => Reason::Restoring,
        TenantError::BranchNotFound(_)
        | TenantError::BeforeHistory { .. }
        | TenantError::SourceExpired(_)
        | TenantError::SnapshotNotFound(_)
        | TenantError::SourceTenantNotFound(_) => Reason::SourceNotFound,
        TenantError::BranchNameTaken { .. }
        | TenantError::BranchKept { .. }
        | TenantError::BranchDiffers { .. } => Reason::BranchNameTaken,
        TenantError::SourceDiffers { .. } => Reason::SourceDiffers,
        TenantError::ScriptUnknown { .. } => Reason::InputsNotFound,
        TenantError::NothingPublished(_) => Reason::SourceNotReady,
        TenantError::SnapshotExists { .. } => Reason::SnapshotFailed,
        TenantError::SourceUnsupported { .. } | TenantError::TooManyAncestors(_) => Reason::SourceUnsupported,
        TenantError::MainBranch | TenantError::InvalidName(_) => Reason::InvalidSpec,
        TenantError::NotEmpty { .. } => Reason::DeletionFailed,
    };
    Fault::new(reason, error.to_string())
}

/// The fault that a step on a snapshot's folder failed with.
pub fn of_folder(error: &FolderError) -> Fault {
    let reason = match error {
        FolderError::SnapshotExists { .. } | FolderError::OwnerUnknown(_) => Reason::DataOwnedElsewhere,
        FolderError::PartExists { .. } | FolderError::Local { .. } => Reason::SnapshotRetrying,
        FolderError::InvalidPart(_) | FolderError::InvalidName(_) => Reason::InvalidSpec,
        FolderError::Read(error) => read(error),
        FolderError::Write(error) => write(error),
    };
    Fault::new(reason, error.to_string())
}

/// The fault that a probe found.
pub fn of_probe(error: &ProbeError) -> Fault {
    let reason = match error {
        ProbeError::Unreachable(_) => Reason::StorageUnreachable,
        ProbeError::Denied { .. } => Reason::StorageDenied,
        ProbeError::ConditionalWritesUnsupported { .. } => Reason::ConditionalWritesUnsupported,
        ProbeError::Unusable(error) => object(error),
    };
    Fault::new(reason, error.to_string())
}

/// The reason that a bucket cannot be opened for; none for what has no place in conditions, such as a passing failure of the
/// API server.
const fn open(error: &OpenError) -> Option<Reason> {
    match error {
        OpenError::SecretNotFound { .. } => Some(Reason::CredentialsNotFound),
        OpenError::SecretInvalid { .. } | OpenError::Config(_) => Some(Reason::CredentialsInvalid),
        OpenError::Keys { .. } => Some(Reason::EncryptionKeyInvalid),
        OpenError::InvalidName(_) | OpenError::Api(_) => None,
    }
}

/// The fault that a bucket cannot be opened for; what has no place in conditions stays an error.
pub fn of_open(error: OpenError) -> Result<Fault, OpenError> {
    match open(&error) {
        Some(reason) => Ok(Fault::new(reason, error.to_string())),
        None => Err(error),
    }
}

/// The problem that a client is told when a bucket cannot be opened.
pub fn problem_of_open(error: &OpenError) -> Problem {
    let code = open(error).map_or(ErrorCode::Internal, codes::code);
    Problem::new(code, error.to_string())
}

/// The problem that a client is told when a step on a tenant's prefix failed.
pub fn problem_of_step(error: &StepError) -> Problem {
    match error {
        StepError::Open(error) => problem_of_open(error),
        StepError::Tenant(error) => Problem::new(error.code(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_crds::reasons::Truth;
    use roost_store::FormatError;

    #[test]
    fn what_passes_by_itself_is_waited_for_and_what_does_not_is_stalled() {
        let key = || "k".to_owned();
        let undecided =
            TenantError::Read(ObjectError::Undecided { key: key(), message: "timeout".into() }.into());
        let denied = TenantError::Read(ObjectError::Denied { key: key(), message: "403".into() }.into());
        let damaged =
            TenantError::Read(ReadError::Content { key: key(), cause: FormatError::Damaged("cut".into()) });
        for (error, reason, stalled) in [
            (undecided, Reason::StorageUnreachable, false),
            (denied, Reason::StorageDenied, true),
            (damaged, Reason::DataCorrupt, true),
            (TenantError::DataMissing { key: key() }, Reason::DataMissing, true),
        ] {
            let fault = of_tenant(&error);
            assert_eq!(fault.reason, reason);
            assert_eq!(fault.reason.row().stalled, stalled, "{reason}");
            assert_eq!(fault.reason.row().ready, Truth::False);
        }
    }

    #[test]
    fn failures_without_a_name_of_their_own_have_that_of_their_public_error() {
        let key = || "k".to_owned();
        let message = || "m".to_owned();
        for error in [
            ObjectError::NotFound { key: key() },
            ObjectError::PreconditionFailed { key: key() },
            ObjectError::Denied { key: key(), message: message() },
            ObjectError::TooLarge { key: key(), limit: 1 },
            ObjectError::TooShort { key: key() },
            ObjectError::ListingIncomplete { key: key(), message: message() },
            ObjectError::Undecided { key: key(), message: message() },
            ObjectError::Rejected { key: key(), message: message() },
        ] {
            assert_eq!(Some(object(&error)), codes::reason(error.code()), "{error:?}");
        }
        for error in [
            WriteError::Undecided { key: key(), message: message() },
            WriteError::Other { key: key() },
            WriteError::Read(ReadError::Mismatch { key: key(), why: message() }),
        ] {
            assert_eq!(Some(write(&error)), codes::reason(error.code()), "{error:?}");
        }
        for error in [
            TenantError::OwnerUnknown { location: key() },
            TenantError::DataMissing { key: key() },
            TenantError::Key(roost_store::KeyError::Removed),
        ] {
            assert_eq!(Some(of_tenant(&error).reason), codes::reason(error.code()), "{error:?}");
        }
    }

    #[test]
    fn what_conditions_say_more_precisely() {
        let key = || "k".to_owned();
        let bucket = ObjectError::NoSuchBucket { bucket: key(), message: "404".into() };
        assert_eq!(object(&bucket), Reason::BucketNotFound);
        assert_eq!(object(&ObjectError::InvalidKey { key: key() }), Reason::InvalidSpec);
        let cause = FormatError::Encrypted(9);
        assert_eq!(read(&ReadError::Content { key: key(), cause }), Reason::EngineTooOld);
    }
}
