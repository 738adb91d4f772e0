//! The form of a request: its statements, and its JSON parameters as DuckDB values.
use crate::config::MAX_STATEMENTS;
use crate::error::QueryError;
use crate::request::QueryRequest;
use roost_duckdb::{EngineError, Extracted, Prepared, Returns, StatementKind, Value};
use roost_protocol::problem::ErrorCode;
use serde_json::Value as Json;

/// The value of parameter `index` (from 1). Lists and objects go as JSON text, which DuckDB casts where it can.
fn value(index: usize, json: &Json) -> Result<Value, QueryError> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Value::I64(value),
            (None, Some(value), _) => Value::U128(u128::from(value)),
            (None, None, Some(value)) => Value::F64(value),
            (None, None, None) => {
                return Err(QueryError::with_sqlstate(
                    ErrorCode::BadRequest,
                    "22003",
                    format!("Parameter {index} is a number that cannot be represented"),
                )
                .hint("Give large or exact numbers as strings"));
            }
        },
        Json::Array(_) | Json::Object(_) => Value::Text(json.to_string()),
    })
}

/// What can be refused before anything runs.
pub(crate) fn check_form(statements: &[Extracted], request: &QueryRequest) -> Result<(), QueryError> {
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
    if !request.parameters.is_empty() && last.source() > 0 {
        return bad("08P01", "Parameters go with one statement only".into());
    }
    Ok(())
}

/// Gives the statement its parameters. Statements that DuckDB put beside it (PIVOT's type) have none.
pub(crate) fn bind(
    prepared: &mut Prepared,
    request: &QueryRequest,
) -> Result<(), Result<QueryError, EngineError>> {
    let (wanted, given) = (prepared.parameter_count(), request.parameters.len());
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
    for (index, json) in request.parameters.iter().enumerate() {
        let value = value(index + 1, json).map_err(Ok)?;
        prepared.bind(index + 1, &value).map_err(Err)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_becomes_values() {
        for (json, expected) in [
            (json!(null), Value::Null),
            (json!(true), Value::Bool(true)),
            (json!(-3), Value::I64(-3)),
            (json!(u64::MAX), Value::U128(u128::from(u64::MAX))),
            (json!(1.5), Value::F64(1.5)),
            (json!("a'b"), Value::Text("a'b".into())),
            (json!([1, "x"]), Value::Text("[1,\"x\"]".into())),
        ] {
            assert_eq!(value(1, &json).unwrap(), expected, "{json}");
        }
    }
}
