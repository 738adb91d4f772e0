//! Answers of the query API in its JSON form.

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::StatusCode;
use roost_protocol::{problem::Problem, query::QueryAnswer};
use serde::Deserialize as _;
use serde_json::Value;

/// Answer of the gateway to a query.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// The document.
    pub body: Value,
}

impl Answer {
    /// Reads a response whole.
    pub async fn read(response: reqwest::Response) -> Result<Self> {
        let status = response.status();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Self { status, body })
    }

    /// The rows of a complete result.
    pub fn rows(&self) -> Result<Vec<Vec<Value>>> {
        ensure!(self.status.is_success(), "{} {}", self.status, self.body);
        let answer = QueryAnswer::deserialize(&self.body).with_context(|| self.body.to_string())?;
        ensure!(answer.complete, "the result is not complete: {}", self.body);
        Ok(answer.rows)
    }

    /// The only value of a result of one row and one column.
    pub fn value(&self) -> Result<Value> {
        match &mut *self.rows()? {
            [row] if row.len() == 1 => Ok(row.remove(0)),
            other => bail!("not one value: {other:?}"),
        }
    }

    /// The only value as an integer, however it was written.
    pub fn integer(&self) -> Result<i64> {
        match self.value()? {
            Value::Number(number) if number.is_i64() => Ok(number.as_i64().unwrap_or_default()),
            Value::String(text) => Ok(text.parse()?),
            other => bail!("not an integer: {other}"),
        }
    }

    /// The problem of a refused request.
    pub fn problem(&self) -> Result<Problem> {
        ensure!(!self.status.is_success(), "the request succeeded: {}", self.body);
        Ok(serde_json::from_value(self.body.clone())?)
    }
}
