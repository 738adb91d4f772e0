//! What failures of the bucket are called in conditions: one table.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use roost_crds::{ConditionType, Reason, conditions};
use roost_protocol::problem::ErrorCode;
use roost_store::{FolderError, FormatError, ObjectError, ProbeError, ReadError, TenantError, WriteError};

/// A reason with its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is called.
    pub reason: Reason,
    /// What happened, why, what to do.
    pub message: String,
}

impl Fault {
    /// Of its parts.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// A moment that has not come yet is waited for: until then nobody knows what was committed before it.
    pub fn of_future(time: Timestamp, now: Timestamp) -> Option<Self> {
        let message = || format!("waits for {time}, a moment that is to come");
        (time > now).then(|| Self::new(Reason::SourceNotReady, message()))
    }

    /// A snapshot that is to be started from and is not complete, by its conditions: it is waited for, unless it failed.
    pub fn of_incomplete(name: &str, conditions: &[Condition]) -> Self {
        if !conditions::holds(conditions, ConditionType::Stalled) {
            return Self::new(Reason::SourceNotReady, format!("waits for Snapshot {name} to be complete"));
        }
        let why = conditions::reason_of(conditions, ConditionType::Ready).unwrap_or_default();
        let message = format!(
            "Snapshot {name} failed ({why}), so there is nothing to start from; delete this object and create it again \
             with another source"
        );
        Self::new(Reason::SnapshotFailed, message)
    }
}

/// What a client is told of a reason.
pub const fn code(reason: Reason) -> ErrorCode {
    match reason {
        Reason::DataOwnedElsewhere => ErrorCode::DataOwnedElsewhere,
        Reason::DataMissing => ErrorCode::DataMissing,
        Reason::DataCorrupt => ErrorCode::DataCorrupted,
        Reason::ReplayFailed => ErrorCode::ReplayFailed,
        Reason::StorageDenied => ErrorCode::StorageDenied,
        Reason::StorageUnreachable => ErrorCode::StorageUnreachable,
        Reason::EncryptionKeyInvalid => ErrorCode::KeyUnavailable,
        _ => ErrorCode::TenantNotReady,
    }
}

const fn object(error: &ObjectError) -> Reason {
    match error {
        ObjectError::Denied { .. } | ObjectError::Rejected { .. } => Reason::StorageDenied,
        ObjectError::NoSuchBucket { .. } => Reason::BucketNotFound,
        ObjectError::NotFound { .. } | ObjectError::TooLarge { .. } | ObjectError::TooShort { .. } => {
            Reason::DataCorrupt
        }
        ObjectError::InvalidKey { .. } => Reason::InvalidSpec,
        ObjectError::Undecided { .. }
        | ObjectError::PreconditionFailed { .. }
        | ObjectError::ListingIncomplete { .. } => Reason::StorageUnreachable,
    }
}

const fn read(error: &ReadError) -> Reason {
    match error {
        ReadError::Object(error) => object(error),
        ReadError::Content { cause: FormatError::Version { .. } | FormatError::Encrypted(_), .. } => {
            Reason::EngineTooOld
        }
        ReadError::Content { .. } | ReadError::WrongLineage { .. } | ReadError::Mismatch { .. } => {
            Reason::DataCorrupt
        }
    }
}

const fn write(error: &WriteError) -> Reason {
    match error {
        WriteError::Undecided { .. } | WriteError::Other { .. } => Reason::StorageUnreachable,
        WriteError::Refused(error) => object(error),
        WriteError::Read(error) => read(error),
    }
}

/// What a step on a tenant's prefix failed with.
pub fn of_tenant(error: &TenantError) -> Fault {
    let reason = match error {
        TenantError::OwnedElsewhere { .. } | TenantError::OwnerUnknown { .. } => Reason::DataOwnedElsewhere,
        TenantError::DataMissing { .. } => Reason::DataMissing,
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
        TenantError::Key(_) => Reason::EncryptionKeyInvalid,
        TenantError::Read(error) => read(error),
        TenantError::Write(error) => write(error),
    };
    Fault::new(reason, error.to_string())
}

/// What a step on a snapshot's folder failed with.
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

/// What a probe found.
pub fn of_probe(error: &ProbeError) -> Fault {
    let reason = match error {
        ProbeError::Unreachable(_) => Reason::StorageUnreachable,
        ProbeError::Denied { .. } => Reason::StorageDenied,
        ProbeError::ConditionalWritesUnsupported { .. } => Reason::ConditionalWritesUnsupported,
        ProbeError::Unusable(error) => object(error),
    };
    Fault::new(reason, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_crds::reasons::Truth;

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
}
