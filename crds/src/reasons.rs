//! The one table of reasons: what each says about Ready, Available, Reconciling and Stalled.
//!
//! kstatus' rules, tested below: Ready=True is neither Reconciling nor Stalled; Ready=False is exactly one of them,
//! so that every tool shows either "in progress" or "failed". Stalled is only for what a person must fix.

use std::fmt;

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
}

impl Truth {
    /// As written in `conditions[].status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
        }
    }
}

/// Row of the table: the status that a reason gives each condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Ready.
    pub ready: Truth,
    /// Available; left out for Snapshots and TenantClasses.
    pub available: Truth,
    /// Reconciling.
    pub reconciling: bool,
    /// Stalled.
    pub stalled: bool,
}

/// Realised and served.
const SERVED: Row = Row { ready: Truth::True, available: Truth::True, reconciling: false, stalled: false };
/// Realised, and as the spec or a ceiling wants it, not served.
const CLOSED: Row = Row { ready: Truth::True, available: Truth::False, reconciling: false, stalled: false };
/// Not realised; the operator works on it or waits and continues by itself.
const WAITING: Row = Row { ready: Truth::False, available: Truth::False, reconciling: true, stalled: false };
/// Not realised; what was there before is still served, and the operator tries again.
const DEGRADED: Row = Row { ready: Truth::False, available: Truth::True, reconciling: true, stalled: false };
/// Not realised until a person fixes something.
const STUCK: Row = Row { ready: Truth::False, available: Truth::False, reconciling: false, stalled: true };
/// Not realised until a person fixes something; what was there before is still served.
const REFUSED: Row = Row { ready: Truth::False, available: Truth::True, reconciling: false, stalled: true };

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $row:ident,)+) => {
        /// Why an object is as it is. The name is what `conditions[].reason` shows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason, in the table's order.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As written in `conditions[].reason`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The reason of this name; none for what is not in the table.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
            }

            /// Its row of the table: the status of each condition.
            pub const fn row(self) -> Row {
                match self { $(Self::$name => $row,)+ }
            }

            /// Its meaning, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

reasons! {
    /// Sealed in the bucket; the next query wakes it.
    Idle => SERVED,
    /// A pod is starting.
    Waking => SERVED,
    /// A pod answers queries.
    Serving => SERVED,
    /// The pod publishes and seals; new queries wait for the next one.
    Draining => SERVED,
    /// The snapshot is complete.
    Completed => CLOSED,
    /// The snapshot is complete: an earlier Snapshot object of its name took it.
    Reattached => CLOSED,
    /// The class is usable.
    Ready => CLOSED,
    /// operatingMode is Suspended.
    Suspended => CLOSED,
    /// A wake waits, or waited in vain, for one of the class's limits.active places.
    CeilingReached => CLOSED,

    /// Being created in the bucket.
    Initializing => WAITING,
    /// The bucket is being probed.
    Probing => WAITING,
    /// Being copied from its source.
    Restoring => WAITING,
    /// The snapshot is being taken.
    Exporting => WAITING,
    /// Being deleted.
    Deleting => WAITING,
    /// The class is to be deleted but tenants use it.
    ClassInUse => WAITING,
    /// No class of that name, or none is the default.
    ClassNotFound => WAITING,
    /// No Tenant of that name in this namespace.
    TenantNotFound => WAITING,
    /// The Tenant is not ready itself.
    TenantNotReady => WAITING,
    /// The branch or snapshot that it starts from does not exist.
    SourceNotFound => WAITING,
    /// The branch or snapshot that it starts from is not complete.
    SourceNotReady => WAITING,
    /// A ConfigMap that the spec names does not exist.
    InputsNotFound => WAITING,
    /// The Secret with the bucket's credentials does not exist.
    CredentialsNotFound => WAITING,
    /// The bucket's endpoint does not answer.
    StorageUnreachable => WAITING,
    /// The last wake failed; the next query tries again.
    WakeFailed => WAITING,
    /// The last attempt at the snapshot failed; it is tried again.
    SnapshotRetrying => WAITING,
    /// No publish succeeds; writes are refused until one does, reads are served.
    PublishFailing => DEGRADED,

    /// More than one class is the default.
    ClassAmbiguous => STUCK,
    /// The class's allowedNamespaces leave this namespace out; what has the class already is served on.
    ClassNotAllowed => REFUSED,
    /// The new class has another bucket or prefix; the old class goes on serving.
    StorageChangeRefused => REFUSED,
    /// The Secret with the credentials or the CA lacks a key, or holds something else.
    CredentialsInvalid => STUCK,
    /// A key of spec.encryption is missing or malformed, or cannot unwrap the data key of a Tenant.
    EncryptionKeyInvalid => STUCK,
    /// The RoleBinding to read the spec's ConfigMap is missing.
    InputsNotPermitted => STUCK,
    /// The bucket does not exist.
    BucketNotFound => STUCK,
    /// The bucket denies access.
    StorageDenied => STUCK,
    /// The endpoint ignores If-Match or If-None-Match.
    ConditionalWritesUnsupported => STUCK,
    /// The data has another owner.
    DataOwnedElsewhere => STUCK,
    /// Data that was there is gone; nothing is written.
    DataMissing => STUCK,
    /// Data does not match its hash or form; nothing is written.
    DataCorrupt => STUCK,
    /// The engine cannot replay the WAL after the last publish; nothing is written.
    ReplayFailed => STUCK,
    /// The source is of a kind that cannot be restored.
    SourceUnsupported => STUCK,
    /// The data that an earlier Tenant of this name left behind came from another source.
    SourceDiffers => STUCK,
    /// The init script or the restore failed.
    RestoreFailed => STUCK,
    /// Pods fail again and again.
    CrashLooping => STUCK,
    /// The data was written by a newer Roost or DuckDB.
    EngineTooOld => STUCK,
    /// Another Branch has this branchName.
    BranchNameTaken => STUCK,
    /// The Tenant, and with it this data, was deleted.
    TenantDeleted => STUCK,
    /// The snapshot could not be taken.
    SnapshotFailed => STUCK,
    /// The data cannot be deleted.
    DeletionFailed => STUCK,
    /// The spec is one that the operator refuses.
    InvalidSpec => STUCK,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_excludes_reconciling_and_stalled() {
        for reason in Reason::ALL {
            let row = reason.row();
            assert!(
                !(row.reconciling && row.stalled),
                "{reason}: kstatus knows either in progress or failed"
            );
            match row.ready {
                Truth::True => assert!(!row.reconciling && !row.stalled, "{reason}"),
                Truth::False => assert!(row.reconciling || row.stalled, "{reason}: a tool could not say why"),
            }
        }
    }

    #[test]
    fn names_fit_the_schema_and_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            let name = reason.as_str();
            assert!(name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
            assert!(seen.insert(name), "{name} twice");
            assert!(reason.meaning().trim().ends_with('.'), "{name}: {}", reason.meaning());
        }
    }

    #[test]
    fn a_few_rows_that_people_rely_on() {
        assert_eq!(Reason::Idle.row(), SERVED);
        assert_eq!(Reason::Suspended.row(), CLOSED);
        assert_eq!(Reason::ClassNotFound.row(), WAITING);
        assert_eq!(Reason::DataOwnedElsewhere.row(), STUCK);
    }
}
