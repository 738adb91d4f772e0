//! The table of public errors: each has a name, an HTTP status, a SQLSTATE, and says whether to try again.

use serde::{Deserialize, Serialize};

/// Media type of a [`Problem`] (RFC 9457).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// A public error of Roost. Its name in `kebab-case` is the last part of the problem's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request's form is wrong.
    BadRequest,
    /// The statement was refused or failed; DuckDB's error is in the members.
    QueryFailed,
    /// The SQL could not be parsed or bound.
    InvalidSql,
    /// The statement does what tenants may not do.
    StatementNotAllowed,
    /// A read-only user tried to write.
    ReadOnly,
    /// The statement ran out of the tenant's memory or disk.
    OutOfMemory,
    /// The request took longer than it may.
    StatementTimeout,
    /// The query was cancelled.
    Cancelled,
    /// A transaction was still open at the end of the request; it was rolled back.
    TransactionLeftOpen,
    /// The transaction conflicts with another one, or held a publish up for too long; it was rolled back.
    TransactionConflict,
    /// Writes are refused because the last publish is too long ago.
    WritesPaused,
    /// No or no valid credentials.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// Who the caller is or what it may do cannot be found out: the Kubernetes API server does not answer.
    AccessUnknown,
    /// No such tenant, branch or query.
    NotFound,
    /// A method that the path does not have.
    MethodNotAllowed,
    /// None of the accepted formats can be produced.
    NotAcceptable,
    /// The request is larger than its limit.
    TooLarge,
    /// The request holds more statements than it may.
    TooManyStatements,
    /// A query with this id runs already.
    QueryIdInUse,
    /// The tenant is suspended.
    Suspended,
    /// The runtime is about to leave: it takes nothing new, or has stopped the query.
    Draining,
    /// The runtime has no grant yet, or another process got it.
    NotServing,
    /// This pod has its grant already.
    AlreadyGranted,
    /// Another owner holds the branch.
    Fenced,
    /// HEAD is not sealed and the previous owner is not proven gone.
    NotSealed,
    /// Too many requests or wakes at once.
    Busy,
    /// The class's ceiling of running tenants is reached.
    CapacityReached,
    /// The tenant did not wake in time.
    WakeTimeout,
    /// The tenant cannot be woken until its condition is mended.
    TenantNotReady,
    /// The key of the tenant's data cannot be had.
    KeyUnavailable,
    /// The init script failed.
    InitScriptFailed,
    /// The bucket cannot be reached or does not answer in time.
    StorageUnreachable,
    /// The bucket refuses the credentials.
    StorageDenied,
    /// The bucket lacks conditional writes.
    ConditionalWritesUnsupported,
    /// An object in the bucket is missing, truncated or altered.
    DataCorrupted,
    /// The data belongs to another owner.
    DataOwnedElsewhere,
    /// The tenant's data is not where it should be.
    DataMissing,
    /// The engine cannot replay the WAL that the bucket holds.
    ReplayFailed,
    /// What the request committed, if anything, may be kept or not: its connection broke, or nobody confirmed it.
    OutcomeUnknown,
    /// The engine failed; the runtime starts again.
    EngineFailed,
    /// A fault of Roost.
    Internal,
}

/// What the caller should do about an error.
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

struct Row {
    title: &'static str,
    http_status: u16,
    sqlstate: &'static str,
    advice: Advice,
}

impl ErrorCode {
    /// The whole table, one row an error.
    const fn row(self) -> Row {
        use Advice::{AskOperator, FixInput, GiveUp, Retry};
        const fn row(title: &'static str, http_status: u16, sqlstate: &'static str, advice: Advice) -> Row {
            Row { title, http_status, sqlstate, advice }
        }
        match self {
            Self::BadRequest => row("The request is malformed", 400, "08P01", FixInput),
            Self::QueryFailed => row("The statement failed", 422, "XX000", FixInput),
            Self::InvalidSql => row("The SQL is not valid", 400, "42601", FixInput),
            Self::StatementNotAllowed => row("The statement is not allowed", 403, "42501", FixInput),
            Self::ReadOnly => row("The user may only read", 403, "25006", FixInput),
            Self::OutOfMemory => {
                row("The statement needs more memory or disk than the tenant has", 507, "53200", FixInput)
            }
            Self::StatementTimeout => row("The request took too long", 408, "57014", FixInput),
            Self::Cancelled => row("The query was cancelled", 499, "57014", GiveUp),
            Self::TransactionLeftOpen => row("A transaction was left open", 400, "25000", FixInput),
            Self::TransactionConflict => {
                row("The transaction conflicts with another one", 409, "40001", Retry)
            }
            Self::WritesPaused => row("Writes are paused", 503, "53100", Retry),
            Self::Unauthenticated => row("Credentials are missing or not valid", 401, "28000", FixInput),
            Self::Forbidden => row("Access denied", 403, "42501", FixInput),
            Self::AccessUnknown => row("Access cannot be checked", 503, "57P03", Retry),
            Self::NotFound => row("Not found", 404, "3D000", FixInput),
            Self::MethodNotAllowed => row("The method is not allowed", 405, "08P01", FixInput),
            Self::NotAcceptable => row("No acceptable format", 406, "08P01", FixInput),
            Self::TooLarge => row("The request is too large", 413, "54000", FixInput),
            Self::TooManyStatements => row("The request holds too many statements", 413, "54000", FixInput),
            Self::QueryIdInUse => row("The query id is in use", 409, "42710", FixInput),
            Self::Suspended => row("The tenant is suspended", 403, "57P03", GiveUp),
            Self::Draining => row("The tenant's pod is leaving", 503, "57P03", Retry),
            Self::NotServing => row("The pod does not serve this tenant", 503, "57P03", Retry),
            Self::AlreadyGranted => row("The pod has its grant already", 409, "57P03", GiveUp),
            Self::Fenced => row("Another pod has taken the tenant over", 503, "57P03", Retry),
            Self::NotSealed => row("The previous pod has not sealed the tenant", 503, "57P03", Retry),
            Self::Busy => row("Too many requests", 503, "53300", Retry),
            Self::CapacityReached => row("All places for running tenants are taken", 503, "53300", Retry),
            Self::WakeTimeout => row("The tenant did not wake in time", 504, "57P03", Retry),
            Self::TenantNotReady => row("The tenant is not ready", 503, "57P03", AskOperator),
            Self::KeyUnavailable => row("The tenant's data key cannot be had", 503, "57P03", AskOperator),
            Self::InitScriptFailed => row("The tenant's init script failed", 503, "57P03", AskOperator),
            Self::StorageUnreachable => row("Object storage cannot be reached", 503, "58030", Retry),
            Self::StorageDenied => row("Object storage denies access", 503, "58030", AskOperator),
            Self::ConditionalWritesUnsupported => {
                row("Object storage lacks conditional writes", 503, "58030", AskOperator)
            }
            Self::DataCorrupted => row("The stored data is damaged", 503, "XX001", AskOperator),
            Self::DataOwnedElsewhere => row("The data belongs to another owner", 503, "42501", AskOperator),
            Self::DataMissing => row("The data is missing", 503, "58P01", AskOperator),
            Self::ReplayFailed => row("The WAL cannot be replayed", 503, "XX001", AskOperator),
            Self::OutcomeUnknown => row("The outcome is unknown", 504, "40003", GiveUp),
            Self::EngineFailed => row("The engine failed", 503, "58000", Retry),
            Self::Internal => row("Internal error", 500, "XX000", AskOperator),
        }
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

    /// What the caller should do.
    pub const fn advice(self) -> Advice {
        self.row().advice
    }

    /// The last part of the problem's `type`.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }
}

/// An RFC 9457 problem document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// `https://roostdb.dev/problems/<code>`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The error's name in the table.
    pub code: ErrorCode,
    /// Short text that is the same for every occurrence.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, why, and what to do.
    pub detail: String,
    /// SQLSTATE.
    pub sqlstate: String,
    /// What the caller should do.
    pub advice: Advice,
    /// When trying again may help, in seconds; also sent as `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// DuckDB's error type, such as `Binder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Byte offset into the SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// A suggestion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The query's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_id: Option<uuid::Uuid>,
    /// How many statements of the request, from its first, were executed and stay so, for what they changed is
    /// committed; absent if nothing of the request was committed, or if that is unknown.
    #[serde(default, rename = "committedStatements", skip_serializing_if = "Option::is_none")]
    pub committed_statements: Option<u64>,
}

impl Problem {
    /// A problem of the table with its particulars.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            type_uri: format!("https://roostdb.dev/problems/{}", code.name()),
            code,
            title: code.title().into(),
            status: code.http_status(),
            detail: detail.into(),
            sqlstate: code.sqlstate().into(),
            advice: code.advice(),
            retry_after: None,
            error_type: None,
            position: None,
            hint: None,
            query_id: None,
            committed_statements: None,
        }
    }

    /// The same, of a request whose first `statements` are committed. It is not to be sent again as it was: the advice
    /// is to give up, and no status that invites clients and proxies to repeat it (503) stays.
    #[must_use]
    pub fn after_commit(mut self, statements: u64) -> Self {
        const UNAVAILABLE: u16 = 503;
        self.committed_statements = Some(statements);
        self.advice = Advice::GiveUp;
        self.retry_after = None;
        self.status =
            if self.status == UNAVAILABLE { ErrorCode::Internal.http_status() } else { self.status };
        self.hint = Some(match statements {
            0 => "A part of the first statement is committed: look before you send the request again".into(),
            1 => "The first statement was executed and stays so: send at most what follows it".into(),
            _ => {
                format!(
                    "The first {statements} statements were executed and stay so: send at most what follows them"
                )
            }
        });
        self
    }

    /// The same with a time after which trying again may help.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same with a suggestion.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_carries_its_row() {
        let problem = Problem::new(ErrorCode::WritesPaused, "no publish for 2 minutes").retry_after(5);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "https://roostdb.dev/problems/writes-paused");
        assert_eq!(json["status"], 503);
        assert_eq!(json["sqlstate"], "53100");
        assert_eq!(json["advice"], "retry");
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }

    #[test]
    fn nobody_is_asked_to_repeat_what_is_committed_in_part() {
        for code in [ErrorCode::Draining, ErrorCode::TransactionConflict, ErrorCode::QueryFailed] {
            let problem = Problem::new(code, "").retry_after(5).hint("Run it again").after_commit(2);
            let json = serde_json::to_value(&problem).unwrap();
            assert_eq!(
                (&json["committedStatements"], &json["advice"]),
                (&2.into(), &"give-up".into()),
                "{json}"
            );
            assert!(json["status"] != 503 && json.get("retry_after").is_none(), "{json}");
            assert!(json["hint"].as_str().unwrap().contains("first 2 statements"), "{json}");
        }
    }
}
