//! The query API's types: the body that a client posts, and the formats in which it may have the answer.

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

/// Answer of `GET .../queries/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryStatus {
    /// The query's id.
    pub id: uuid::Uuid,
    /// How far it is, 0 to 100; none when the engine cannot tell.
    pub percentage: Option<f64>,
    /// Rows processed so far.
    pub rows_processed: u64,
    /// Rows to process, as far as known.
    pub total_rows: u64,
    /// How long it has been running.
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
}
