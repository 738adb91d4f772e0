//! The query API's types: the body that a client posts, and the formats in which it may have the answer.

use crate::problem::Problem;
use serde::{Deserialize, Serialize};

/// Largest request body of a query, in bytes; [`crate::routes`] tells it of each operation.
pub const MAX_QUERY_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Most parameters that one statement may have.
pub const MAX_PARAMETERS: usize = 10_000;

/// Body of `POST /v1/namespaces/{ns}/tenants/{t}[/branches/{b}]/query`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryBody {
    /// One or more statements; only the last one's result is sent.
    pub sql: String,
    /// Positional parameters of the only statement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<serde_json::Value>,
    /// Format of the answer; without it the `Accept` header decides, and JSON when that says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Give up after this long, such as `30s`; never longer than the class allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// Formats of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One document: columns, rows as arrays, `complete`.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
    /// Arrow IPC stream.
    Arrow,
}

impl Format {
    /// All formats, the preferred one first.
    pub const ALL: [Self; 4] = [Self::Json, Self::Ndjson, Self::Csv, Self::Arrow];

    /// The media type of this format, as sent in `Content-Type` and matched in `Accept`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The first format that an `Accept` header names; JSON for none, `*/*` or `application/*`.
    /// `None` when it names only others.
    pub fn from_accept(accept: Option<&str>) -> Option<Self> {
        let Some(accept) = accept else { return Some(Self::Json) };
        accept.split(',').map(|range| range.split(';').next().unwrap_or("").trim()).find_map(|range| {
            match range {
                "*/*" | "application/*" | "" => Some(Self::Json),
                "text/*" => Some(Self::Csv),
                other => Self::ALL.into_iter().find(|format| format.media_type().eq_ignore_ascii_case(other)),
            }
        })
    }
}

/// Answer to a query in [`Format::Json`]. It is sent piece by piece, so that success is known at its end only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryAnswer {
    /// Columns of the last statement's result.
    pub columns: Vec<AnswerColumn>,
    /// Rows, each with a value for every column; those before the error when there is one.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Rows that the last statement changed; none of one that changes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_changed: Option<u64>,
    /// All rows are here, and what was committed is as durable as was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// Reason why the answer is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerColumn {
    /// Name; not necessarily unique.
    pub name: String,
    /// DuckDB's text of the type (`DECIMAL(18,3)`).
    #[serde(rename = "type")]
    pub logical_type: String,
}

/// Answer of `GET .../queries/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryStatus {
    /// The query's id.
    pub id: uuid::Uuid,
    /// Progress in percent, 0 to 100; none when the engine cannot tell.
    pub percentage: Option<f64>,
    /// Rows processed so far.
    pub rows_processed: u64,
    /// Rows to process, as far as known.
    pub total_rows: u64,
    /// Time that it has been running, in milliseconds.
    pub elapsed_millis: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers_choose_formats() {
        for (accept, expected) in [
            (None, Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
            (Some("application/json"), Some(Format::Json)),
            (Some("text/csv; q=0.9"), Some(Format::Csv)),
            (Some("application/x-ndjson, application/json"), Some(Format::Ndjson)),
            (Some("image/png, application/vnd.apache.arrow.stream"), Some(Format::Arrow)),
            (Some("image/png"), None),
        ] {
            assert_eq!(Format::from_accept(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn an_answer_is_read_whether_it_is_complete_or_not() {
        let complete = r#"{"columns":[{"name":"i","type":"INTEGER"}],"rows":[[1],[null]],"complete":true}"#;
        let answer: QueryAnswer = serde_json::from_str(complete).unwrap();
        assert!(answer.complete && answer.error.is_none() && answer.rows_changed.is_none());
        assert_eq!(answer.columns[0].logical_type, "INTEGER");
        assert_eq!(serde_json::to_string(&answer).unwrap(), complete);
        let problem = Problem::new(crate::problem::ErrorCode::StatementTimeout, "too long");
        let cut = serde_json::json!({"columns": [], "rows": [], "error": problem});
        let answer: QueryAnswer = serde_json::from_value(cut).unwrap();
        assert!(!answer.complete && answer.error == Some(problem));
    }
}
