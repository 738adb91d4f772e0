//! The table of public errors: each has a name, an HTTP status, a SQLSTATE, and says whether to try again.

use serde::{Deserialize, Serialize};

/// Advice to the caller about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// The same request may succeed later; nothing of it was executed, or all of it was rolled back.
    Retry,
    /// Change the request.
    FixInput,
    /// Neither retrying nor changing the request helps, or it may have been executed: look first.
    GiveUp,
    /// Whoever runs Roost has to mend something.
    AskOperator,
}

/// One row of the table.
struct Row {
    name: &'static str,
    title: &'static str,
    http_status: u16,
    sqlstate: &'static str,
    advice: Advice,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, $http_status:literal, $sqlstate:literal, $advice:ident, $title:literal;)*) => {
        /// A public error of Roost.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $name)] $code,)*
        }

        impl ErrorCode {
            /// All of them, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            const fn row(self) -> Row {
                match self {
                    $(Self::$code => Row {
                        name: $name,
                        title: $title,
                        http_status: $http_status,
                        sqlstate: $sqlstate,
                        advice: Advice::$advice,
                    },)*
                }
            }
        }
    };
}

error_codes! {
    /// The request's form is wrong.
    BadRequest = "bad-request", 400, "08P01", FixInput, "The request is malformed";
    /// The statement was refused or failed; DuckDB's error is in the members.
    QueryFailed = "query-failed", 422, "XX000", FixInput, "The statement failed";
    /// The SQL could not be parsed or bound.
    InvalidSql = "invalid-sql", 400, "42601", FixInput, "The SQL is not valid";
    /// The statement does what tenants may not do.
    StatementNotAllowed = "statement-not-allowed", 403, "42501", FixInput, "The statement is not allowed";
    /// A read-only user tried to write.
    ReadOnly = "read-only", 403, "25006", FixInput, "The user may only read";
    /// The statement ran out of the tenant's memory or disk.
    OutOfMemory = "out-of-memory", 507, "53200", FixInput, "The statement needs more memory or disk than the tenant has";
    /// The request took longer than it may.
    StatementTimeout = "statement-timeout", 408, "57014", FixInput, "The request took too long";
    /// The query was cancelled.
    Cancelled = "cancelled", 499, "57014", GiveUp, "The query was cancelled";
    /// A transaction was still open at the end of the request; it was rolled back.
    TransactionLeftOpen = "transaction-left-open", 400, "25000", FixInput, "A transaction was left open";
    /// The transaction conflicts with another one, or held a publish up for too long; it was rolled back.
    TransactionConflict = "transaction-conflict", 409, "40001", Retry, "The transaction conflicts with another one";
    /// Writes are refused because the last publish is too long ago.
    WritesPaused = "writes-paused", 503, "53100", Retry, "Writes are paused";
    /// No or no valid credentials.
    Unauthenticated = "unauthenticated", 401, "28000", FixInput, "Credentials are missing or not valid";
    /// The caller may not do this.
    Forbidden = "forbidden", 403, "42501", FixInput, "Access denied";
    /// The caller's identity or rights cannot be found out: the Kubernetes API server does not answer.
    AccessUnknown = "access-unknown", 503, "57P03", Retry, "Access cannot be checked";
    /// No such tenant, branch or query.
    NotFound = "not-found", 404, "3D000", FixInput, "Not found";
    /// A method that the path does not have.
    MethodNotAllowed = "method-not-allowed", 405, "08P01", FixInput, "The method is not allowed";
    /// None of the accepted formats can be produced.
    NotAcceptable = "not-acceptable", 406, "08P01", FixInput, "No acceptable format";
    /// The request is larger than its limit.
    TooLarge = "too-large", 413, "54000", FixInput, "The request is too large";
    /// The request holds more statements than it may.
    TooManyStatements = "too-many-statements", 413, "54000", FixInput, "The request holds too many statements";
    /// A query with this id runs already.
    QueryIdInUse = "query-id-in-use", 409, "42710", FixInput, "The query id is in use";
    /// The tenant is suspended.
    Suspended = "suspended", 403, "57P03", GiveUp, "The tenant is suspended";
    /// The runtime is about to leave: it takes nothing new, or has stopped the query.
    Draining = "draining", 503, "57P03", Retry, "The tenant's pod is leaving";
    /// The runtime has no grant yet, or another process got it.
    NotServing = "not-serving", 503, "57P03", Retry, "The pod does not serve this tenant";
    /// This pod has its grant already.
    AlreadyGranted = "already-granted", 409, "57P03", GiveUp, "The pod has its grant already";
    /// Another owner holds the branch.
    Fenced = "fenced", 503, "57P03", Retry, "Another pod has taken the tenant over";
    /// HEAD is not sealed and the previous owner is not proven gone.
    NotSealed = "not-sealed", 503, "57P03", Retry, "The previous pod has not sealed the tenant";
    /// Too many requests or wakes at once.
    Busy = "busy", 503, "53300", Retry, "Too many requests";
    /// The class's ceiling of running tenants is reached.
    CapacityReached = "capacity-reached", 503, "53300", Retry, "All places for running tenants are taken";
    /// The tenant did not wake in time.
    WakeTimeout = "wake-timeout", 504, "57P03", Retry, "The tenant did not wake in time";
    /// The tenant cannot be woken until its condition is mended.
    TenantNotReady = "tenant-not-ready", 503, "57P03", AskOperator, "The tenant is not ready";
    /// The key of the tenant's data cannot be had.
    KeyUnavailable = "key-unavailable", 503, "57P03", AskOperator, "The tenant's data key cannot be had";
    /// The init script failed.
    InitScriptFailed = "init-script-failed", 503, "57P03", AskOperator, "The tenant's init script failed";
    /// The bucket cannot be reached or does not answer in time.
    StorageUnreachable = "storage-unreachable", 503, "58030", Retry, "Object storage cannot be reached";
    /// The bucket refuses the credentials.
    StorageDenied = "storage-denied", 503, "58030", AskOperator, "Object storage denies access";
    /// The bucket lacks conditional writes.
    ConditionalWritesUnsupported = "conditional-writes-unsupported", 503, "58030", AskOperator, "Object storage lacks conditional writes";
    /// An object in the bucket is missing, truncated or altered.
    DataCorrupted = "data-corrupted", 503, "XX001", AskOperator, "The stored data is damaged";
    /// The stored data, or a part of it, was written by a newer release.
    EngineTooOld = "engine-too-old", 503, "0A000", AskOperator, "The stored data needs a newer release";
    /// The data belongs to another owner.
    DataOwnedElsewhere = "data-owned-elsewhere", 503, "42501", AskOperator, "The data belongs to another owner";
    /// The tenant's data is not where it should be.
    DataMissing = "data-missing", 503, "58P01", AskOperator, "The data is missing";
    /// The engine cannot replay the WAL that the bucket holds.
    ReplayFailed = "replay-failed", 503, "XX001", AskOperator, "The WAL cannot be replayed";
    /// It is unknown whether anything that the request committed is kept: its connection broke, or nobody confirmed it.
    OutcomeUnknown = "outcome-unknown", 504, "40003", GiveUp, "The outcome is unknown";
    /// The engine failed; the runtime starts again.
    EngineFailed = "engine-failed", 503, "58000", Retry, "The engine failed";
    /// A fault of Roost.
    Internal = "internal", 500, "XX000", AskOperator, "Internal error";
}

impl ErrorCode {
    /// The last part of the problem's `type`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// HTTP status to answer with.
    pub const fn http_status(self) -> u16 {
        self.row().http_status
    }

    /// SQLSTATE to answer with.
    pub const fn sqlstate(self) -> &'static str {
        self.row().sqlstate
    }

    /// Short text that is the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// Advice to the caller.
    pub const fn advice(self) -> Advice {
        self.row().advice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_invites_a_client_to_repeat_a_request_is_said_only_where_repeating_may_help() {
        for code in ErrorCode::ALL {
            let temporary = matches!(code.http_status(), 503 | 504 | 409);
            assert!(code.advice() != Advice::Retry || temporary, "{code:?}");
            assert!(code.sqlstate() != "40001" || code.advice() == Advice::Retry, "{code:?}");
        }
    }

    #[test]
    fn codes_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }

    #[test]
    fn each_code_is_documented() {
        // Clients never see the two that a pod answers the operator with.
        let docs = concat!(include_str!("../../../docs/http-api.md"), "`already-granted` `not-sealed`");
        let undocumented: Vec<_> =
            ErrorCode::ALL.iter().filter(|code| !docs.contains(&format!("`{}`", code.name()))).collect();
        assert!(undocumented.is_empty(), "{undocumented:?}");
    }
}
