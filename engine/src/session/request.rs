//! One request: statements in order in a session of their own, the last one's result streamed.
use super::executor::{Begun, Executor, Judged};
use super::parameters::check_form;
use super::reading::Reading;
use crate::error::QueryError;
use roost_duckdb::{StatementKind, Value};
use roost_protocol::problem::ErrorCode;
use std::time::Duration;

/// Statements to run in a session of their own.
#[derive(Debug, Clone)]
pub struct Request {
    /// One or more statements; only the last one's result is streamed.
    pub sql: String,
    /// Positional parameters; only with one statement.
    pub parameters: Vec<Value>,
    /// All of it, until the last batch was taken, may take this long.
    pub timeout: Duration,
}

/// Way in which the statements of a request belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As the client wrote them; the last result is streamed.
    Query,
    /// All in one transaction, results dropped, transaction statements refused.
    Script,
}

/// Runs all statements of a request, but for the reading of a query's last result, which is returned.
pub(super) fn run(
    executor: &mut Executor,
    request: &Request,
    mode: Mode,
) -> Result<Option<Reading>, QueryError> {
    executor.running.check()?;
    let statements = executor.extract(&request.sql)?;
    check_form(&statements, &request.parameters)?;
    if mode == Mode::Script {
        executor.begin_transaction()?;
    }
    let mut statements = statements.into_iter().peekable();
    while let Some(extracted) = statements.next() {
        executor.running.check()?;
        let (source, next) = (extracted.source(), statements.peek());
        let (last, whole) = (next.is_none(), next.is_none_or(|next| next.source() != source));
        executor.through = if whole { source + 1 } else { source };
        if mode == Mode::Script && extracted.kind() == StatementKind::Transaction {
            return Err(QueryError::with_sqlstate(
                ErrorCode::StatementNotAllowed,
                "25001",
                "A script runs in one transaction; it may not begin or end transactions",
            ));
        }
        let wrapped = executor.wrap(extracted.kind())?;
        executor.gate_before_alter(extracted.kind())?;
        let Judged { mut prepared, plan } = executor.judge(extracted)?;
        let begun = executor.execute(&mut prepared, plan, &request.parameters)?;
        if last && mode == Mode::Query {
            return Ok(Some(Reading::new(begun, prepared.into(), plan.action, wrapped)));
        }
        drain(executor, begun)?;
        drop(prepared);
        executor.executed(wrapped, plan.action)?;
    }
    if mode == Mode::Script {
        executor.commit_transaction()?;
    }
    Ok(None)
}

/// Reads a result to its end and drops it.
fn drain(executor: &mut Executor, begun: Begun) -> Result<(), QueryError> {
    let Some(mut stream) = begun.stream else { return Ok(()) };
    while stream.next().map_err(|error| executor.error_of(error, begun.commits))?.is_some() {
        executor.running.check()?;
    }
    Ok(())
}

/// Makes the error of a request that ends with a transaction open.
pub(super) fn left_open() -> QueryError {
    QueryError::new(
        ErrorCode::TransactionLeftOpen,
        "A transaction was open at the end of the request; it was rolled back",
    )
    .hint("End it with COMMIT in the same request")
}
