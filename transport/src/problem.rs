//! Problems as HTTP answers (RFC 9457).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use roost_protocol::{
    names::QUERY_ID_HEADER,
    problem::{PROBLEM_MEDIA_TYPE, Problem},
};
use uuid::Uuid;

/// A problem with its status, media type, `Retry-After`, and the id of the query that it is about.
pub fn answer(problem: &Problem) -> Response<Bytes> {
    let mut answer = Response::new(serde_json::to_vec(problem).unwrap_or_default().into());
    *answer.status_mut() =
        StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
    if let Some(seconds) = problem.particulars().retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(id) = problem.particulars().query_id {
        headers.insert(QUERY_ID_HEADER, id_header(id));
    }
    answer
}

/// A query's id as a header's value.
pub fn id_header(id: Uuid) -> HeaderValue {
    // A UUID's text is always a valid header value.
    HeaderValue::from_str(&id.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A problem on its way to the client, as an answer of axum's handlers.
#[cfg(feature = "axum")]
#[derive(Debug)]
pub struct Refused(pub Problem);

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        answer(&self.0).map(axum::body::Body::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::problem::ErrorCode;

    #[test]
    fn a_problem_becomes_an_answer() {
        let id = Uuid::from_u128(7);
        let plain = || Problem::new(ErrorCode::Busy, "too many");
        let about = plain().retry_after(2).of_query(id);
        for (problem, retry_after, query_id) in
            [(plain(), None, None), (about, Some("2"), Some("00000000-0000-0000-0000-000000000007"))]
        {
            let answer = answer(&problem);
            let header =
                |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(answer.status(), 503);
            assert_eq!(header("content-type").as_deref(), Some(PROBLEM_MEDIA_TYPE));
            assert_eq!(header("retry-after").as_deref(), retry_after);
            assert_eq!(header(QUERY_ID_HEADER).as_deref(), query_id);
            assert_eq!(*answer.body(), serde_json::to_vec(&problem).unwrap());
        }
    }
}
