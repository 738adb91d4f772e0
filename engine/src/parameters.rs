//! JSON parameters as DuckDB values.
use crate::error::{QueryError, QueryErrorKind};
use roost_duckdb::Value;
use serde_json::Value as Json;

/// The value of parameter `index` (from 1). Lists and objects go as JSON text, which DuckDB casts where it can.
pub(crate) fn value(index: usize, json: &Json) -> Result<Value, QueryError> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Value::I64(value),
            (None, Some(value), _) => Value::U128(u128::from(value)),
            (None, None, Some(value)) => Value::F64(value),
            (None, None, None) => {
                return Err(QueryError::new(
                    QueryErrorKind::BadRequest,
                    "22003",
                    format!("Parameter {index} is a number that cannot be represented"),
                )
                .hint("Give large or exact numbers as strings"));
            }
        },
        Json::Array(_) | Json::Object(_) => Value::Text(json.to_string()),
    })
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
