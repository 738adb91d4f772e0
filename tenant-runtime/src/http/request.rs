//! What a request of the query API says: its headers and its body, each read once.

use super::parameters::values;
use crate::{
    config::parse_duration,
    query::{
        access::{Credential, Web},
        service::{Service, Statement, Terms},
    },
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, header},
};
use roost_protocol::{
    durability::{Durability, UnknownDurability},
    names::{DURABILITY_HEADER, QUERY_ID_HEADER, SESSION_HEADER},
    problem::{ErrorCode, Problem},
    query::{Format, MAX_PARAMETERS, MAX_QUERY_BODY_BYTES, QueryBody},
};
use std::time::Duration;
use uuid::Uuid;

/// How long a request's body may take to arrive.
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

/// What the caller shows of itself. Text that is no text counts as something that nobody accepts.
pub fn credential(headers: &HeaderMap) -> Credential<'_> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let token = headers.get(SESSION_HEADER).map(|value| value.to_str().unwrap_or(""));
    Credential { token, web: Some(Web { host: text(&header::HOST), origin: text(&header::ORIGIN) }) }
}

/// The query's id, that of the caller's choice if there is one.
pub fn query_id(headers: &HeaderMap) -> Result<Uuid, Problem> {
    let Some(given) = headers.get(QUERY_ID_HEADER) else { return Ok(Uuid::new_v4()) };
    given.to_str().ok().and_then(|text| Uuid::parse_str(text).ok()).ok_or_else(|| {
        Problem::new(ErrorCode::BadRequest, format!("the header {QUERY_ID_HEADER} must be a UUID"))
    })
}

/// Reads the rest of a request.
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
        .map_err(|_| {
            let detail =
                format!("the request's body is longer than {MAX_QUERY_BODY_BYTES} bytes, or broke off");
            Problem::new(ErrorCode::TooLarge, detail)
        })?;
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

fn choose_format(asked: Option<Format>, headers: &HeaderMap) -> Result<Format, Problem> {
    let accept = headers.get(header::ACCEPT).map(|accept| accept.to_str().unwrap_or("invalid"));
    asked.or_else(|| Format::from_accept(accept)).ok_or_else(|| {
        let known = Format::ALL.map(Format::media_type).join(", ");
        Problem::new(ErrorCode::NotAcceptable, format!("the formats are {known}"))
    })
}

fn read_timeout(text: &str) -> Result<Duration, Problem> {
    parse_duration(text).filter(|asked| !asked.is_zero()).ok_or_else(|| {
        Problem::new(
            ErrorCode::BadRequest,
            format!("the timeout {text:?} is not a duration such as 30s or 1m30s"),
        )
    })
}
