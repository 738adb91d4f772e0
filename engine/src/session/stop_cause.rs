//! Why a statement is made to stop, and what its client is told.
use crate::error::QueryError;
use roost_protocol::problem::ErrorCode;

/// Why a statement, a request, or an open transaction is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// Its time is over.
    Timeout,
    /// Somebody cancelled it.
    Cancelled,
    /// Nobody reads its result any more.
    ReaderLeft,
    /// Its open transaction held a publish, or the making of an index, up for too long.
    Publish,
    /// Its transaction was idle for longer than it may be.
    IdleTransaction,
    /// It reads a state so old that it holds a publish, or the making of an index, up.
    OldSnapshot,
    /// The engine is about to go.
    Draining,
    /// The engine is dead.
    EngineFailed,
}

impl StopCause {
    /// Whether the transaction around the statement ends with it, whatever its client would like.
    pub fn ends_transaction(self) -> bool {
        !matches!(self, Self::Timeout | Self::Cancelled | Self::ReaderLeft)
    }

    pub fn error(self) -> QueryError {
        use ErrorCode as Code;
        match self {
            Self::Timeout => QueryError::new(Code::StatementTimeout, "The request took longer than it may")
                .hint("Ask for less at once, send a longer timeout, or have the tenant class's statementTimeout raised"),
            Self::Cancelled => QueryError::new(Code::Cancelled, "The query was cancelled"),
            Self::ReaderLeft => {
                QueryError::new(Code::Cancelled, "The query was stopped because its reader left")
            }
            Self::Publish => QueryError::with_sqlstate(
                Code::TransactionConflict,
                "25P03",
                "The transaction stayed open for so long that it held up a publish, or the making of an index; it was rolled back",
            )
            .hint("Run it again in shorter transactions, and read results without pausing: a publish waits ten seconds for one, \
                 each minute and whenever another commit needs it"),
            Self::IdleTransaction => QueryError::with_sqlstate(
                Code::TransactionConflict,
                "25P03",
                "The transaction was idle for longer than it may be; it was rolled back",
            )
            .hint("Run it again without pausing between its statements"),
            Self::OldSnapshot => QueryError::with_sqlstate(
                Code::TransactionConflict,
                "72000",
                "The query read a state that changed long ago, and held up a publish, or the making of an index, for too long; it was \
                 stopped",
            )
            .hint("Run it again, and read results without pausing"),
            Self::Draining => QueryError::new(
                Code::Draining,
                "The tenant's pod is leaving, and the query took longer than it could wait; it was stopped",
            )
            .hint("Send the request again"),
            Self::EngineFailed => QueryError::failed_engine(),
        }
    }
}
