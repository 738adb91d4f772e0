//! The form of a request: how many statements it may hold, and the parameters of one.
use crate::config::MAX_STATEMENTS;
use crate::error::QueryError;
use roost_duckdb::{EngineError, Extracted, Prepared, Returns, StatementKind, Value};
use roost_protocol::problem::ErrorCode;

/// Refuses a request by its form, before anything runs: no statement, too many, or parameters for more than one.
pub(crate) fn check_form(statements: &[Extracted], parameters: &[Value]) -> Result<(), QueryError> {
    let bad =
        |sqlstate, message: String| Err(QueryError::with_sqlstate(ErrorCode::BadRequest, sqlstate, message));
    let Some(last) = statements.last() else {
        return bad("42601", "The request holds no statement".into());
    };
    let count = last.source() + 1;
    if count > MAX_STATEMENTS {
        let message = format!(
            "The request holds {count} statements, and may hold {MAX_STATEMENTS}; nothing was executed"
        );
        return Err(QueryError::new(ErrorCode::TooManyStatements, message)
            .hint("Send them in several requests, or put many rows into one INSERT"));
    }
    if !parameters.is_empty() && last.source() > 0 {
        return bad("08P01", "Parameters go with one statement only".into());
    }
    Ok(())
}

/// Gives the statement its parameters. Statements that DuckDB put beside it (PIVOT's type) have none.
pub(crate) fn bind(prepared: &mut Prepared, values: &[Value]) -> Result<(), Result<QueryError, EngineError>> {
    let (wanted, given) = (prepared.parameter_count(), values.len());
    if wanted == 0
        && prepared.kind() != StatementKind::Select
        && given > 0
        && prepared.returns() == Returns::Nothing
    {
        return Ok(());
    }
    if wanted != given {
        let message = format!("The statement has {wanted} parameters, and {given} were given");
        return Err(Ok(QueryError::new(ErrorCode::BadRequest, message)));
    }
    for (index, value) in values.iter().enumerate() {
        prepared.bind(index + 1, value).map_err(Err)?;
    }
    Ok(())
}
