//! Problems as HTTP answers.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use roost_protocol::{
    names::QUERY_ID_HEADER,
    problem::{PROBLEM_MEDIA_TYPE, Problem},
};
use serde::Serialize;
use uuid::Uuid;

/// A problem on its way to the client (RFC 9457).
#[derive(Debug)]
pub struct Refused(pub Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        if let Some(seconds) = problem.particulars().retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(id) = problem.particulars().query_id {
            headers.insert(QUERY_ID_HEADER, id_header(id));
        }
        response
    }
}

/// A query's id as a header's value.
pub fn id_header(id: Uuid) -> HeaderValue {
    // A UUID's text is always a valid header value.
    HeaderValue::from_str(&id.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A small JSON answer.
pub fn json(value: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(serde_json::to_vec(value).unwrap_or_default()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
