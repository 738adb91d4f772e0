//! Errors of opening and of queries, and the one table from DuckDB's error types to SQLSTATEs.
use roost_duckdb::{EngineError, ErrorKind};
use roost_protocol::problem::ErrorCode;
use std::fmt;

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database's name is one of DuckDB's own.
    #[error("the database name {0:?} is reserved by DuckDB; choose another tenant name")]
    ReservedName(String),
    /// A class setting that is not in the allowlist.
    #[error("the class's engine setting {0:?} is not one that may be set; see the documented list")]
    SettingNotAllowed(String),
    /// DuckDB refused a step.
    #[error("DuckDB failed to {step}: {source}")]
    Engine {
        /// Step that DuckDB refused; it follows "failed to" in the message.
        step: &'static str,
        /// DuckDB's error.
        source: EngineError,
    },
    /// DuckDB could not open the tenant's database, or replay its WAL.
    #[error("DuckDB failed to attach the tenant's database: {0}")]
    Attach(EngineError),
    /// The attached database did not open through our file system: it would not be durable.
    #[error(
        "{path} was attached, but our file system never saw it opened; the database is not where it should be"
    )]
    NotThroughVfs {
        /// The path that was attached.
        path: String,
    },
    /// A wall does not stand after it was put up.
    #[error("the lock-down is incomplete: {0}")]
    WallMissing(String),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a query failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Its row in the table of public errors.
    pub code: ErrorCode,
    /// SQLSTATE; that of the table or one that says more.
    pub sqlstate: &'static str,
    /// DuckDB's error type (`Binder`), when the error is DuckDB's.
    pub error_type: Option<&'static str>,
    /// Text of the error, without its type.
    pub message: String,
    /// Byte offset into the request's SQL, where known.
    pub position: Option<usize>,
    /// A suggestion.
    pub hint: Option<Box<str>>,
    /// The policy's stable name for what it refused.
    pub refusal: Option<Box<str>>,
    /// Number of statements of the request, from its first, that were executed and stay so, for what they changed is
    /// committed; none if the request has committed nothing.
    pub committed_statements: Option<u32>,
    /// It came from a commit, and does not tell whether that was done.
    pub commit_unknown: bool,
}

impl QueryError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::with_sqlstate(code, code.sqlstate(), message)
    }

    /// An error for which there is a SQLSTATE that says more than the table's.
    pub(crate) fn with_sqlstate(code: ErrorCode, sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            sqlstate,
            error_type: None,
            message: message.into(),
            position: None,
            hint: None,
            refusal: None,
            committed_statements: None,
            commit_unknown: false,
        }
    }

    /// The same error, of a request of which so many statements are committed; none if it has committed nothing.
    pub(crate) fn after(mut self, committed_statements: Option<u32>) -> Self {
        self.committed_statements = committed_statements;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    /// Makes the error that everybody gets once a fatal error has killed the engine.
    pub fn failed_engine() -> Self {
        Self::new(ErrorCode::EngineFailed, "The engine met a fatal error and is starting again")
            .hint("Try again in a few seconds")
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error_type {
            Some(error_type) => write!(out, "{error_type} Error: {}", self.message),
            None => out.write_str(&self.message),
        }
    }
}

impl std::error::Error for QueryError {}

/// The table: what a DuckDB error type means to a client.
fn meaning(kind: ErrorKind) -> (ErrorCode, &'static str) {
    use ErrorCode as Q;
    match kind {
        ErrorKind::Parser | ErrorKind::Syntax => (Q::InvalidSql, "42601"),
        ErrorKind::Catalog => (Q::InvalidSql, "42P01"),
        ErrorKind::Binder => (Q::InvalidSql, "42P10"),
        ErrorKind::Planner | ErrorKind::Expression => (Q::InvalidSql, "42000"),
        ErrorKind::UnknownType | ErrorKind::InvalidType => (Q::InvalidSql, "42704"),
        ErrorKind::ParameterNotResolved => (Q::InvalidSql, "42P18"),
        ErrorKind::ParameterNotAllowed => (Q::InvalidSql, "42P02"),
        ErrorKind::MismatchType => (Q::InvalidSql, "42804"),
        ErrorKind::Permission | ErrorKind::MissingExtension | ErrorKind::Autoload => {
            (Q::StatementNotAllowed, "42501")
        }
        ErrorKind::OutOfRange | ErrorKind::Decimal => (Q::QueryFailed, "22003"),
        ErrorKind::Conversion => (Q::QueryFailed, "22P02"),
        ErrorKind::DivideByZero => (Q::QueryFailed, "22012"),
        ErrorKind::ObjectSize => (Q::QueryFailed, "54000"),
        ErrorKind::Constraint => (Q::QueryFailed, "23000"),
        ErrorKind::Index => (Q::QueryFailed, "23505"),
        ErrorKind::Sequence => (Q::QueryFailed, "2200H"),
        ErrorKind::Dependency => (Q::QueryFailed, "2BP01"),
        ErrorKind::InvalidInput | ErrorKind::Settings | ErrorKind::InvalidConfiguration => {
            (Q::QueryFailed, "22023")
        }
        ErrorKind::NotImplemented => (Q::QueryFailed, "0A000"),
        ErrorKind::Transaction => (Q::TransactionConflict, "40001"),
        ErrorKind::OutOfMemory => (Q::OutOfMemory, "53200"),
        ErrorKind::Interrupt => (Q::Cancelled, "57014"),
        ErrorKind::Io | ErrorKind::Network | ErrorKind::Http => (Q::QueryFailed, "58030"),
        ErrorKind::Fatal => (Q::EngineFailed, "58000"),
        _ => (Q::Internal, "XX000"),
    }
}

/// Finds a SQLSTATE that says more than the table's, by DuckDB's subtype of the error and the kind of object; none if
/// there is none.
fn finer(kind: ErrorKind, subtype: &str, object: &str) -> Option<&'static str> {
    Some(match (kind, subtype, object) {
        (ErrorKind::Catalog, "MISSING_ENTRY", "Schema") => "3F000",
        (ErrorKind::Catalog, "MISSING_ENTRY", object) if object.contains("Function") => "42883",
        (ErrorKind::Catalog, "MISSING_ENTRY", "Type") => "42704",
        (ErrorKind::Catalog, "ENTRY_ALREADY_EXISTS", "Schema") => "42P06",
        (ErrorKind::Catalog, "ENTRY_ALREADY_EXISTS", _) => "42P07",
        (ErrorKind::Binder, "COLUMN_NOT_FOUND", _) => "42703",
        (ErrorKind::Binder, "NO_MATCHING_FUNCTION", _) => "42883",
        _ => return None,
    })
}

/// DuckDB's advice that our policy refuses, by how it begins, and what helps instead. It ends a message.
const REFUSED_ADVICE: [(&str, &str); 2] = [
    (
        "\n\nPossible solutions:",
        "Work on fewer rows at a time, or have the tenant's class give it more memory",
    ),
    ("\n\nPlease try installing and loading", "No extensions are available but those that are built in"),
];

impl From<EngineError> for QueryError {
    fn from(mut error: EngineError) -> Self {
        let refused = REFUSED_ADVICE.iter().find_map(|(begins, instead)| {
            let at = error.message.find(begins)?;
            error.message.truncate(at);
            Some(*instead)
        });
        let (code, sqlstate) = meaning(error.kind);
        let detail = |key: &str| error.extra.get(key).map_or("", String::as_str);
        let sqlstate = finer(error.kind, detail("error_subtype"), detail("type")).unwrap_or(sqlstate);
        let refusal = error.extra.get("refusal").map(|code| Box::from(code.as_str()));
        let (code, sqlstate) = match refusal.as_deref() {
            Some("read-only") => (ErrorCode::ReadOnly, ErrorCode::ReadOnly.sqlstate()),
            _ => (code, sqlstate),
        };
        let mut query = Self::with_sqlstate(code, sqlstate, error.message);
        query.error_type = Some(error.kind.name());
        query.position = error.position;
        let candidates = error.extra.get("candidates").map(|names| format!("Did you mean {names}?"));
        query.hint = refused.map(str::to_owned).or(candidates).map(String::into_boxed_str);
        query.refusal = refusal;
        query
    }
}
