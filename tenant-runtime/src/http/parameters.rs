//! Parameters of a query: JSON as values of DuckDB.

use roost_engine::Value;
use roost_protocol::problem::{ErrorCode, Problem};
use serde_json::Value as Json;

/// The values of all parameters.
/// Errors: `bad-request`.
pub fn values(parameters: &[Json]) -> Result<Vec<Value>, Problem> {
    parameters.iter().enumerate().map(|(index, json)| value(index + 1, json)).collect()
}

/// The value of parameter `index` (from 1). Lists and objects go as JSON text, which DuckDB casts where it can.
fn value(index: usize, json: &Json) -> Result<Value, Problem> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Value::I64(value),
            (None, Some(value), _) => Value::U128(u128::from(value)),
            (None, None, Some(value)) => Value::F64(value),
            (None, None, None) => {
                let detail = format!("Parameter {index} is a number that cannot be represented");
                let mut problem = Problem::new(ErrorCode::BadRequest, detail)
                    .hint("Give large or exact numbers as strings");
                problem.particulars_mut().sqlstate = Some("22003".into());
                return Err(problem);
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
