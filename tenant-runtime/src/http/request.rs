//! Reading of a request of the query API: its headers and its body.

use super::parameters::values;
use crate::query::{
    access::{Credential, Web},
    service::{Service, Statement, Terms},
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, header},
};
use http_body_util::LengthLimitError;
use roost_protocol::{
    durability::{Durability, UnknownDurability},
    duration,
    names::{DURABILITY_HEADER, QUERY_ID_HEADER, SESSION_HEADER},
    problem::{ErrorCode, Problem},
    query::{Format, MAX_PARAMETERS, MAX_QUERY_BODY_BYTES, QueryBody},
};
use std::time::Duration;
use uuid::Uuid;

/// Time that a request's body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// A query as it was asked.
pub struct Asked {
    /// Its statements.
    pub statement: Statement,
    /// Their terms.
    pub terms: Terms,
    /// Format of the answer.
    pub format: Format,
}

/// Credential in a request's headers. A header that is no text becomes an empty text, which nobody accepts.
pub fn credential(headers: &HeaderMap) -> Credential<'_> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let token = headers.get(SESSION_HEADER).map(|value| value.to_str().unwrap_or(""));
    Credential { token, web: Some(Web { host: text(&header::HOST), origin: text(&header::ORIGIN) }) }
}

/// The query's id, that of the caller's choice if there is one.
/// Errors: `bad-request`.
#[allow(clippy::disallowed_methods, reason = "an id for people; nothing is decided by it")]
pub fn query_id(headers: &HeaderMap) -> Result<Uuid, Problem> {
    let Some(given) = headers.get(QUERY_ID_HEADER) else { return Ok(Uuid::new_v4()) };
    given.to_str().ok().and_then(|text| Uuid::parse_str(text).ok()).ok_or_else(|| {
        Problem::new(ErrorCode::BadRequest, format!("the header {QUERY_ID_HEADER} must be a UUID"))
    })
}

/// Reads the rest of a request.
/// Errors: `bad-request`, `not-acceptable`, `too-large`.
pub async fn asked(service: &Service, id: Uuid, headers: &HeaderMap, body: Body) -> Result<Asked, Problem> {
    let QueryBody { sql, parameters, format, timeout } = read_body(body).await?;
    let format = choose_format(format, headers)?;
    let timeout = timeout.as_deref().map(read_timeout).transpose()?;
    let terms = service.terms(timeout, read_durability(headers)?).map_err(|error| {
        Problem::new(ErrorCode::BadRequest, format!("the header {DURABILITY_HEADER}: {error}"))
    })?;
    let statement = Statement { id, sql, parameters: values(&parameters)? };
    Ok(Asked { statement, terms, format })
}

fn read_durability(headers: &HeaderMap) -> Result<Option<Durability>, Problem> {
    let asked = headers.get(DURABILITY_HEADER).map(|value| value.to_str().unwrap_or_default().parse());
    asked.transpose().map_err(|error: UnknownDurability| {
        Problem::new(ErrorCode::BadRequest, format!("the header {DURABILITY_HEADER}: {error}"))
    })
}

async fn read_body(body: Body) -> Result<QueryBody, Problem> {
    let bytes = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, MAX_QUERY_BODY_BYTES))
        .await
        .map_err(|_| Problem::new(ErrorCode::BadRequest, "the request's body did not arrive in time"))?
        .map_err(|error| unread_body(error.into_inner().is::<LengthLimitError>()))?;
    let body: QueryBody = serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!("the request's body is not {{\"sql\": ...}} as documented: {error}");
        Problem::new(ErrorCode::BadRequest, detail)
    })?;
    if body.parameters.len() > MAX_PARAMETERS {
        let detail = format!("a statement may have at most {MAX_PARAMETERS} parameters");
        return Err(Problem::new(ErrorCode::TooLarge, detail));
    }
    Ok(body)
}

fn unread_body(too_long: bool) -> Problem {
    if too_long {
        let detail = format!("the request's body is longer than {MAX_QUERY_BODY_BYTES} bytes");
        return Problem::new(ErrorCode::TooLarge, detail);
    }
    Problem::new(ErrorCode::BadRequest, "the request's body broke off; nothing was executed")
}

fn choose_format(asked: Option<Format>, headers: &HeaderMap) -> Result<Format, Problem> {
    let accept = headers.get(header::ACCEPT).map(|accept| accept.to_str().unwrap_or("invalid"));
    asked.or_else(|| Format::from_accept(accept)).ok_or_else(|| {
        let known = Format::ALL.map(Format::media_type).join(", ");
        Problem::new(ErrorCode::NotAcceptable, format!("the formats are {known}"))
    })
}

fn read_timeout(text: &str) -> Result<Duration, Problem> {
    duration::parse_positive(text)
        .map_err(|error| Problem::new(ErrorCode::BadRequest, format!("the timeout: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::io;

    #[tokio::test]
    async fn a_body_that_is_too_long_is_told_from_one_that_broke_off() {
        let long = Body::from(vec![b' '; MAX_QUERY_BODY_BYTES + 1]);
        assert_eq!(read_body(long).await.unwrap_err().code, ErrorCode::TooLarge);
        let parts = [Ok(Bytes::from_static(b"{\"sql\":")), Err(io::Error::other("gone"))];
        let broken = Body::from_stream(futures::stream::iter(parts));
        assert_eq!(read_body(broken).await.unwrap_err().code, ErrorCode::BadRequest);
    }
}
