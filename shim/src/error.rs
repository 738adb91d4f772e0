//! DuckDB's errors as data: type, message, position and extra fields, taken from its `ErrorData`.
use std::collections::BTreeMap;
use std::fmt;

/// DuckDB's exception types, one to one (`ExceptionType` of 1.5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are DuckDB's own")]
pub enum ErrorKind {
    Invalid,
    OutOfRange,
    Conversion,
    UnknownType,
    Decimal,
    MismatchType,
    DivideByZero,
    ObjectSize,
    InvalidType,
    Serialization,
    Transaction,
    NotImplemented,
    Expression,
    Catalog,
    Parser,
    Planner,
    Scheduler,
    Executor,
    Constraint,
    Index,
    Stat,
    Connection,
    Syntax,
    Settings,
    Binder,
    Network,
    Optimizer,
    NullPointer,
    Io,
    Interrupt,
    /// The instance (or the attached database) is dead; drop it and take over again.
    Fatal,
    Internal,
    InvalidInput,
    OutOfMemory,
    Permission,
    ParameterNotResolved,
    ParameterNotAllowed,
    Dependency,
    Http,
    MissingExtension,
    Autoload,
    Sequence,
    InvalidConfiguration,
    /// A type that this version of the shim does not know.
    Unknown,
}

/// Each kind with DuckDB's name for it, in the order of its numbers.
const KINDS: [(ErrorKind, &str); 43] = [
    (ErrorKind::Invalid, "Invalid"),
    (ErrorKind::OutOfRange, "Out of Range"),
    (ErrorKind::Conversion, "Conversion"),
    (ErrorKind::UnknownType, "Unknown Type"),
    (ErrorKind::Decimal, "Decimal"),
    (ErrorKind::MismatchType, "Mismatch Type"),
    (ErrorKind::DivideByZero, "Divide by Zero"),
    (ErrorKind::ObjectSize, "Object Size"),
    (ErrorKind::InvalidType, "Invalid type"),
    (ErrorKind::Serialization, "Serialization"),
    (ErrorKind::Transaction, "TransactionContext"),
    (ErrorKind::NotImplemented, "Not implemented"),
    (ErrorKind::Expression, "Expression"),
    (ErrorKind::Catalog, "Catalog"),
    (ErrorKind::Parser, "Parser"),
    (ErrorKind::Planner, "Planner"),
    (ErrorKind::Scheduler, "Scheduler"),
    (ErrorKind::Executor, "Executor"),
    (ErrorKind::Constraint, "Constraint"),
    (ErrorKind::Index, "Index"),
    (ErrorKind::Stat, "Stat"),
    (ErrorKind::Connection, "Connection"),
    (ErrorKind::Syntax, "Syntax"),
    (ErrorKind::Settings, "Settings"),
    (ErrorKind::Binder, "Binder"),
    (ErrorKind::Network, "Network"),
    (ErrorKind::Optimizer, "Optimizer"),
    (ErrorKind::NullPointer, "NullPointer"),
    (ErrorKind::Io, "IO"),
    (ErrorKind::Interrupt, "INTERRUPT"),
    (ErrorKind::Fatal, "FATAL"),
    (ErrorKind::Internal, "INTERNAL"),
    (ErrorKind::InvalidInput, "Invalid Input"),
    (ErrorKind::OutOfMemory, "Out of Memory"),
    (ErrorKind::Permission, "Permission"),
    (ErrorKind::ParameterNotResolved, "Parameter Not Resolved"),
    (ErrorKind::ParameterNotAllowed, "Parameter Not Allowed"),
    (ErrorKind::Dependency, "Dependency"),
    (ErrorKind::Http, "HTTP"),
    (ErrorKind::MissingExtension, "Missing Extension"),
    (ErrorKind::Autoload, "Extension Autoloading"),
    (ErrorKind::Sequence, "Sequence"),
    (ErrorKind::InvalidConfiguration, "Invalid Configuration"),
];

impl ErrorKind {
    pub(crate) fn from_code(code: u8) -> Self {
        KINDS.get(usize::from(code)).map_or(Self::Unknown, |(kind, _)| *kind)
    }

    /// DuckDB's own name of the type, as in front of "Error:" in its messages (`Binder`, `Out of Memory`).
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("Unknown", |(_, name)| name)
    }
}

/// An error that DuckDB (or this layer) reports when a call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    /// DuckDB's exception type.
    pub kind: ErrorKind,
    /// Its message, without the type in front.
    pub message: String,
    /// Byte offset into the text given to `extract`, where DuckDB knows it.
    pub position: Option<usize>,
    /// Everything else that DuckDB attached (`error_subtype`, `candidates`, `name`, ...).
    pub extra: BTreeMap<String, String>,
}

impl EngineError {
    /// An error found by this layer before DuckDB was asked.
    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::InvalidInput,
            message: message.into(),
            position: None,
            extra: BTreeMap::new(),
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} Error: {}", self.kind.name(), self.message)
    }
}

impl std::error::Error for EngineError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_duckdbs() {
        for (code, kind) in [
            (9, ErrorKind::Serialization),
            (24, ErrorKind::Binder),
            (30, ErrorKind::Fatal),
            (34, ErrorKind::Permission),
        ] {
            assert_eq!(ErrorKind::from_code(code), kind);
        }
        assert_eq!(ErrorKind::from_code(200), ErrorKind::Unknown);
    }
}
